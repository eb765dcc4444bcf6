"""The check at the door: who asks, and whether he may."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.access.hosts import Names, is_loopback
from tidegate.access.keys import KeyRing
from tidegate.access.rates import Rates
from tidegate.access.scopes import ANYBODY, NOBODY, OPEN, Principal
from tidegate.errors import Retry, TidegateError
from tidegate.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from tidegate.access.tokens import Tokens

_BEARER = "bearer "


class Denied(TidegateError):
    """Not he, or not now: `kind` is unauthorized, forbidden, foreign, too_many_requests or
    issuer_away.

    `challenge` is the value of WWW-Authenticate (RFC 6750), `seconds` that of Retry-After.
    """

    def __init__(self, kind: str, detail: str, challenge: str = "", seconds: int = 0) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.challenge, self.seconds = kind, detail, challenge, seconds


def asks_keys(settings: Settings) -> bool:
    """Whether a key is asked for: everywhere, nowhere, or unless all listens on loopback."""
    if settings.auth == "auto":
        return not is_loopback(settings.host)
    return settings.auth == "keys"


def takes_tokens(settings: Settings) -> bool:
    """Whether a token of an issuer is taken in place of a key."""
    return bool(settings.jwt_issuer or settings.jwt_audience or settings.jwt_keys)


class Door:
    """Lets requests in, or says why not. Thread-safe."""

    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        """Raises ConfigError when a setting about tokens is missing or wrong."""
        self._ring, self._asks = ring, asks_keys(settings)
        self._tokens = _tokens_of(settings) if takes_tokens(settings) else None
        self._rates = Rates()
        more = tuple(name.strip() for name in settings.hosts.split(",") if name.strip())
        self._names = Names(more) if is_loopback(settings.host) or more else None

    def admit(self, environ: WSGIEnvironment, scope: str) -> Principal:
        """Who asks, if he may do what needs `scope`.

        Raises Denied, and Retry when the keys could not be read yet.
        """
        key = _key_in(environ.get("HTTP_AUTHORIZATION", ""))
        if not key and not self._asks:
            self._check_names(environ)
            return ANYBODY
        if scope == OPEN:
            return NOBODY
        if not key:
            raise Denied(
                "unauthorized",
                f"this needs a key with the scope {scope}: Authorization: Bearer KEY",
                'Bearer realm="tidegate"',
            )
        return self._by_key(key, scope)

    def _check_names(self, environ: WSGIEnvironment) -> None:
        if self._names is not None and (complaint := self._names.foreign(environ)):
            raise Denied(
                "foreign", f"{complaint}: TIDEGATE_HOSTS names others by which it is known"
            )

    def _by_key(self, key: str, scope: str) -> Principal:
        principal = self._find(key)
        require(principal, scope)
        if principal.rate and (seconds := self._rates.take(principal)):
            raise Denied(
                "too_many_requests",
                f"{principal.name} may send {principal.rate:,} transactions, verdicts or "
                "other requests a second",
                seconds=seconds,
            )
        return principal

    def _find(self, key: str) -> Principal:
        """Whose key or token this is. Raises Denied, Retry."""
        if self._tokens is not None and key.count(".") == 2:  # no key has a dot
            return _by_token(self._tokens, key)
        principal = self._ring.find(key)
        if principal is None:
            raise _unauthorized("this key is not known, has expired or was revoked")
        return principal

    def still_in(self, header: str) -> Callable[[], bool]:
        """Whether who shows this Authorization header may still come in, asked while he reads: his
        key or his token may have ended. Who shows none goes on.
        """
        return (lambda: self._knows(header)) if is_bearer(header) else (lambda: True)

    def _knows(self, header: str) -> bool:
        try:
            self._find(_key_in(header))
        except Denied:
            return False
        return True

    def charge(self, principal: Principal, items: int) -> None:
        """Count what came in one request: more than the one that was counted when it came in."""
        self._rates.charge(principal, items - 1)


def _tokens_of(settings: Settings) -> Tokens | None:
    from tidegate.access.issuer import tokens_of  # a library for what few use

    return tokens_of(settings)


def _by_token(tokens: Tokens, token: str) -> Principal:
    from tidegate.access.tokens import BadToken

    try:
        return tokens.find(token)
    except BadToken as error:
        raise _unauthorized(str(error)) from error
    except Retry as error:
        raise Denied("issuer_away", str(error), seconds=1) from error


def _unauthorized(detail: str) -> Denied:
    return Denied("unauthorized", detail, 'Bearer realm="tidegate", error="invalid_token"')


def _key_in(header: str) -> str:
    return header[len(_BEARER) :].strip() if is_bearer(header) else ""


def is_bearer(header: str) -> bool:
    """Whether an Authorization header shows a key. No form of a web page can do that."""
    return header[: len(_BEARER)].lower() == _BEARER


def require(principal: Principal, scope: str) -> None:
    """Raises Denied naming the scope that is missing."""
    if not principal.may(scope):
        who = principal.name or "who shows no key"
        raise Denied(
            "forbidden",
            f"this needs the scope {scope}, which {who} has not",
            f'Bearer realm="tidegate", error="insufficient_scope", scope="{scope}"',
        )
