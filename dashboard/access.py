"""Who may see which page: the check before each request, by a key or by a signed session."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask, Request, Response, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from dashboard.context import Context, here
from tidegate.access.door import Denied, is_bearer, require
from tidegate.access.hosts import is_loopback
from tidegate.access.scopes import ANYBODY, DASHBOARD, OPEN, Principal
from tidegate.access.users import ROLES
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.metrics import DENIED
from tidegate.settings import Settings

LASTS_US = 12 * 3_600_000_000
"""Then a session is over."""
_STATUS = {"unauthorized": 401, "too_many_requests": 429, "issuer_away": 503}
_LARGEST = 100_000
"""Bytes of a form."""
_csrf = CSRFProtect()


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies, by a secret that the database has: read once, when it is needed."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """None while the database cannot be read, and could not from the start on."""
        try:
            app.secret_key = app.secret_key or self._secret()
        except (Retry, ConfigError):
            return None
        return super().open_session(app, request)


def guard(app: Flask, settings: Settings, secret: Callable[[], bytes]) -> None:
    """Check each request of the application before its view runs."""
    app.config.update(
        SESSION_COOKIE_NAME="tidegate_session",
        SESSION_COOKIE_SECURE=not is_loopback(settings.host),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=LASTS_US // 1_000_000,
        MAX_CONTENT_LENGTH=_LARGEST,
        WTF_CSRF_CHECK_DEFAULT=False,  # checked below, where no key is shown
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    app.session_interface = Sessions(secret)
    _csrf.init_app(app)
    app.before_request(_check_door)


def _check_door() -> Response | None:
    """Who asks is `g.principal`, or he is answered why not."""
    if request.endpoint is None:
        return None  # no such address: Flask says so
    try:
        g.principal = _who(DASHBOARD.get(request.endpoint, "admin"))
    except Denied as denied:
        DENIED.labels(denied.kind).inc()
        return _refusal(denied)
    if not is_bearer(request.headers.get("Authorization", "")):
        _csrf.protect()
    return None


def _who(scope: str) -> Principal:
    """Raises Denied, and Retry when nobody can say yet."""
    user = signed_in()
    if user is not None:
        require(user, scope)
        return user
    principal = here().door.admit(request.environ, scope)
    if principal is ANYBODY and scope != OPEN and (here().provider or here().users.get()):
        raise Denied("unauthorized", "sign in first: there are users", 'Bearer realm="tidegate"')
    return principal


class Seat(NamedTuple):
    """What a session says: who signed in and when, and which role a provider gave him."""

    user: str
    since_us: int
    role: str

    def principal(self, context: Context) -> Principal | None:
        """Who sits here, if the session goes on."""
        if not self.user or now_us() - self.since_us > LASTS_US:
            return None
        if self.role:
            known = context.provider is not None and self.role in ROLES
            return Principal(self.user, frozenset(ROLES[self.role])) if known else None
        user = context.users.get().get(self.user)
        return user.principal() if user and user.changed_us <= self.since_us else None


def take_seat(user: str, role: str = "") -> None:
    """Begin a session; `role` is that which a provider gave, not one of ours."""
    session.clear()
    session.update(Seat(user, now_us(), role)._asdict())
    session.permanent = True


def signed_in() -> Principal | None:
    """The user of this session, if it goes on."""
    return _seat().principal(here())


def _seat() -> Seat:
    return Seat(session.get("user", ""), session.get("since_us", 0), session.get("role", ""))


def still_in() -> Callable[[], bool]:
    """Whether who asks now may still come in, for an answer that goes on for long."""
    context, seat = here(), _seat()
    if signed_in() is not None:
        return lambda: seat.principal(context) is not None
    return context.door.still_in(request.headers.get("Authorization", ""))


def _refusal(denied: Denied) -> Response:
    status = _STATUS.get(denied.kind, 403)
    if (
        status == 401
        and request.method == "GET"
        and "text/html" in request.headers.get("Accept", "")
    ):
        back = request.full_path.removesuffix("?")
        asked: Response = redirect(url_for("sign_in.page", back=back), 303)  # type: ignore[assignment]
        return asked
    headers = {"WWW-Authenticate": denied.challenge} if denied.challenge else {}
    if denied.seconds:
        headers["Retry-After"] = str(denied.seconds)
    return Response(denied.detail, status, headers, content_type="text/plain; charset=utf-8")
