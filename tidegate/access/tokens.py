"""JSON Web Tokens (RFC 7519) of one issuer, as another way in beside keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import jwt

from tidegate.access.recent import Recent
from tidegate.access.scopes import SCOPES, Principal
from tidegate.errors import TidegateError

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Asymmetric ones alone: nobody who can check a token can make one."""
LEEWAY = 10.0
"""Seconds that the issuer's clock may differ from ours."""
_SECONDS, _AGAIN = 300.0, 10.0
"""Between two reads of the issuer's keys; for a token of a key that is not known."""
_LONGEST = 128

Keys = Mapping[str, jwt.PyJWK]
"""Public keys of an issuer by `kid`."""


class BadToken(TidegateError):
    """A token does not hold; the text says why."""


_WHY: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "this token has expired"),
    (jwt.ImmatureSignatureError, "this token is not valid yet"),
    (jwt.InvalidIssuerError, "this token is of another issuer than {issuer}"),
    (jwt.InvalidAudienceError, "this token is for another audience than {audience}"),
    (jwt.InvalidAlgorithmError, "this token is signed by another algorithm than its key is for"),
    (jwt.InvalidSignatureError, "the signature of this token does not hold"),
)


class Tokens:
    """Says whose a token is. Thread-safe.

    `read` gives the issuer's keys; it may raise Retry, ConfigError. `rate` is that of each subject.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        read: Callable[[], Keys],
        clock: Callable[[], float] = time.monotonic,
        rate: int = 0,
    ) -> None:
        self._issuer, self._audience = issuer, audience
        self._keys, self._rate = Recent(read, clock), rate

    def find(self, token: str) -> Principal:
        """Who the issuer says it is, with those of its scopes that are ours.

        Raises BadToken, and Retry when no keys could be read yet.
        """
        claims = self.claims(token)
        return Principal(_name(claims), _scopes(claims), self._rate)

    def claims(self, token: str) -> Mapping[str, Any]:
        """What the issuer says. Raises BadToken, Retry."""
        return self._claims(token, self._key(token))

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise BadToken("this is no token that can be read") from error
        if header.get("alg") not in ALGORITHMS:
            raise BadToken(f"this token is not signed by one of {', '.join(ALGORITHMS)}")
        kid = str(header.get("kid", ""))
        found = self._keys.get(_SECONDS).get(kid) or self._keys.get(_AGAIN).get(kid)
        if found is None:
            raise BadToken("the issuer has no key with the kid of this token")
        return found

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(f"this token has no claim {error.claim}") from error
        except jwt.PyJWTError as error:
            why = next((text for kind, text in _WHY if isinstance(error, kind)), "")
            text = why.format(issuer=self._issuer, audience=self._audience)
            raise BadToken(text or "this is no token that can be read") from error


def _name(claims: Mapping[str, Any]) -> str:
    """`jwt/SUBJECT`: no key and no user has a slash in its name, and no client's name a colon."""
    subject = claims.get("sub") or claims.get("client_id")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST:
        raise BadToken(f"this token has no claim sub or client_id of up to {_LONGEST} characters")
    return f"jwt/{written(subject)}"


def written(subject: str) -> str:
    """A subject as a part of a name: without slashes and colons, as in an address."""
    return quote(subject, safe="@|", errors="surrogatepass")


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise BadToken("the claim scope of this token is no text with spaces between the scopes")
    return frozenset(SCOPES.keys() & scope.split())
