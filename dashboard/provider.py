"""A provider of identities (OpenID Connect, code flow with PKCE): where to send people who sign in,
and who came back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from tidegate.access.issuer import check_secure, fetched, read_keys
from tidegate.access.recent import Recent
from tidegate.access.tokens import BadToken, Tokens, written
from tidegate.access.users import ROLES
from tidegate.errors import ConfigError, Retry, TidegateError
from tidegate.settings import Settings

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

BACK = "/sign-in/oidc/back"
_ISSUER = "TIDEGATE_OIDC_ISSUER"
_SECONDS = 10.0
_ABOUT = 300.0
"""Seconds between two reads of what the provider says about itself."""


class Refused(TidegateError):
    """Nobody is signed in; the text says why."""


class About(msgspec.Struct, frozen=True):
    """What a provider says about itself (OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class Pending(NamedTuple):
    """What one browser has to bring back: nobody else can end what it began."""

    state: str
    nonce: str
    verifier: str


class Identity(NamedTuple):
    """Who came back: a name that no user of ours has, one for people to read, and a role."""

    name: str
    shown: str
    role: str


class Provider:
    """An OpenID provider. Thread-safe; nothing is read before somebody signs in."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self._settings, self._secret = settings, secret
        self._about = Recent(lambda: _read_about(settings.oidc_issuer))
        self._tokens = Tokens(
            settings.oidc_issuer,
            settings.oidc_client,
            lambda: read_keys(_ISSUER, self._about.get(_ABOUT).jwks_uri),
        )
        self.host = urlsplit(settings.oidc_issuer).hostname or ""

    def begin(self) -> tuple[str, Pending]:
        """Where to send the browser, and what it has to bring back. Raises Retry."""
        pending = Pending(*(secrets.token_urlsafe(32) for _ in range(3)))
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._about.get(_ABOUT).authorization_endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return str(url), pending

    def finish(self, said: Mapping[str, str], pending: Pending) -> Identity:
        """Who came back with these arguments. Raises Refused, Retry."""
        if error := said.get("error"):
            raise Refused(f"{self.host} did not let you in: {error[:100]}")
        if not secrets.compare_digest(said.get("state", "").encode(), pending.state.encode()):
            raise Refused("this sign-in was begun elsewhere")
        claims = self._claims(self._exchange(said.get("code", ""), pending).get("id_token"))
        if claims.get("nonce") != pending.nonce:
            raise Refused("this sign-in was begun elsewhere")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise Refused(f"{self.host} does not say who you are")
        shown = claims.get("preferred_username") or claims.get("email") or ""
        return Identity(f"oidc/{written(subject)}", str(shown), self._role(claims))

    def _claims(self, id_token: object) -> Mapping[str, Any]:
        try:
            claims = self._tokens.claims(str(id_token))
        except BadToken as error:
            raise Refused(f"{self.host}: {error}") from error
        if claims.get("azp", self._settings.oidc_client) != self._settings.oidc_client:
            raise Refused("this sign-in was for another client")
        return claims

    def _exchange(self, code: str, pending: Pending) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError
        from requests import RequestException

        try:
            with self._session() as session:
                given: Mapping[str, Any] = session.fetch_token(
                    self._about.get(_ABOUT).token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.verifier,
                    timeout=_SECONDS,
                )
        except AuthlibBaseError as error:
            raise Refused(f"{self.host} did not let you in: {error.error}") from error
        except (RequestException, ValueError) as error:
            raise Retry(f"{_ISSUER}: {self.host} does not answer as it should") from error
        return given

    def _session(self) -> OAuth2Session:
        from authlib.integrations.requests_client import OAuth2Session  # for what few use

        return OAuth2Session(
            self._settings.oidc_client,
            self._secret,
            scope="openid profile email",
            redirect_uri=self._settings.oidc_address.rstrip("/") + BACK,
            code_challenge_method="S256",
        )

    def _role(self, claims: Mapping[str, Any]) -> str:
        """The strongest role that the claim names. Raises Refused when it names none."""
        claim = self._settings.oidc_claim
        value = claims.get(claim)
        named = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        found = [role for role in ROLES if role in named]
        if not found:
            raise Refused(f"the claim {claim} of {self.host} gives you none of {', '.join(ROLES)}")
        return found[-1]


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name, None where they name none.

    Raises ConfigError when a part is missing or wrong.
    """
    parts = {
        _ISSUER: settings.oidc_issuer,
        "TIDEGATE_OIDC_CLIENT": settings.oidc_client,
        "TIDEGATE_OIDC_SECRET_FILE": settings.oidc_secret_file,
        "TIDEGATE_OIDC_ADDRESS": settings.oidc_address,
    }
    missing = [name for name, value in parts.items() if not value]
    if len(missing) == len(parts):
        return None
    if missing or settings.oidc_secret_file is None:
        raise ConfigError(f"signing in by a provider needs {' and '.join(missing)} too")
    for name in (_ISSUER, "TIDEGATE_OIDC_ADDRESS"):
        check_secure(name, str(parts[name]))
    try:
        secret = settings.oidc_secret_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"TIDEGATE_OIDC_SECRET_FILE {settings.oidc_secret_file}: {error}"
        ) from error
    return Provider(settings, secret)


def _read_about(issuer: str) -> About:
    """Raises ConfigError, Retry."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        about = msgspec.json.decode(fetched(_ISSUER, url), type=About)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{_ISSUER} {url}: {error}") from error
    if about.issuer != issuer:
        raise ConfigError(f"{_ISSUER} {issuer}: it calls itself {about.issuer}: write it so")
    for address in (about.authorization_endpoint, about.token_endpoint, about.jwks_uri):
        check_secure(_ISSUER, address)
    return about
