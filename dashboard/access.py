"""Who may see which page: the check before each request."""

from __future__ import annotations

from flask import Response, g, request

from dashboard.context import here
from tidegate.access.door import Denied
from tidegate.access.scopes import DASHBOARD
from tidegate.metrics import DENIED

_CHALLENGE = 'Basic realm="tidegate: any name, a key as password", charset="UTF-8"'
"""Lets a browser ask for it."""
_STATUS = {"unauthorized": 401, "too_many_requests": 429}


def check_door() -> Response | None:
    """Who asks is `g.principal`, or he is answered why not."""
    if request.endpoint is None:
        return None  # no such address: Flask says so
    try:
        _check_origin()
        g.principal = here().door.admit(request.environ, DASHBOARD.get(request.endpoint, "admin"))
    except Denied as denied:
        DENIED.labels(denied.kind).inc()
        return _refusal(denied)
    return None


def _check_origin() -> None:
    """A browser shows a password to its server whichever page asks. Raises Denied."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site", "none")
    origin = request.headers.get("Origin", f"//{request.host}")
    if site not in ("same-origin", "none") or origin.partition("//")[2] != request.host:
        raise Denied("foreign", "a page of another site may not change anything here")


def _refusal(denied: Denied) -> Response:
    status = _STATUS.get(denied.kind, 403)
    challenge = f"{denied.challenge}, {_CHALLENGE}" if status == 401 else denied.challenge
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    if denied.seconds:
        headers["Retry-After"] = str(denied.seconds)
    return Response(denied.detail, status, headers, content_type="text/plain; charset=utf-8")
