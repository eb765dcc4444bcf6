"""`/batch`: a file of transactions is uploaded, looked at, sent, and comes back with decisions."""

from __future__ import annotations

import tempfile
from pathlib import PurePath
from typing import IO, Any, cast

import msgspec
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.blueprints import BlueprintSetupState
from flask_babel import gettext
from werkzeug.exceptions import RequestEntityTooLarge

from dashboard.batch.charts import histogram, shares
from dashboard.batch.jobs import ENDINGS, Busy, Job, Jobs
from dashboard.batch.look import look_at
from dashboard.context import KEY, Context, here
from dashboard.format import bars
from db.audit import Act
from tidegate.errors import ConfigError

blueprint = Blueprint("batch", __name__)
MOST = 200 << 20
"""Bytes of a file."""
_KEY = "tidegate.batch"
_FILES = {
    "results.csv": "text/csv",
    "results.parquet": "application/vnd.apache.parquet",
    "rejected.csv": "text/csv",
    "rejected.jsonl": "application/x-ndjson",
}


class _ToDisk(Request):
    """Puts the parts of an upload beside the jobs: /tmp may be memory."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if self.endpoint == "batch.upload":
            folder = here().settings.home / "batches"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return tempfile.TemporaryFile(dir=folder)
        return super()._get_file_stream(
            total_content_length, content_type, filename, content_length
        )


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    app = cast(Flask, state.app)
    context: Context = app.extensions[KEY]
    app.extensions[_KEY] = Jobs(context.settings.home / "batches")
    app.request_class = _ToDisk


@blueprint.url_value_preprocessor
def _admit_files(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Before the token of the form is looked for in the body."""
    if endpoint == "batch.upload":
        request.max_content_length = MOST + 10_000


@blueprint.errorhandler(RequestEntityTooLarge)
def _too_large(_error: RequestEntityTooLarge) -> tuple[str, int]:
    return _page(_too_large_words()), 413


def _too_large_words() -> str:
    text = gettext("The file is larger than %(most)s MB. Cut it, or use `tidegate batch`.")
    return str(text % {"most": MOST >> 20})


def _jobs() -> Jobs:
    return cast(Jobs, current_app.extensions[_KEY])


def _mine(name: str) -> Job:
    """A job of who asks: what a file holds is shown to who brought it, and to admins."""
    job = _jobs().get(name)
    if job is None or not (job.owner == g.principal.name or g.principal.may("admin")):
        abort(404)
    return job


def _page(fault: str = "", details: str = "") -> str:
    """The form; `details`: what the reader of files says, which has English alone."""
    jobs = _jobs()
    mine = [
        (job, jobs.status(job), jobs.summary(job))
        for job in jobs.all()
        if job.owner == g.principal.name or g.principal.may("admin")
    ]
    return render_template(
        "batch/page.html",
        jobs=mine,
        fault=fault,
        details=details,
        most=MOST,
        too_large=_too_large_words(),
    )


@blueprint.get("/batch")
def page() -> str:
    """The form, and the files that were uploaded."""
    return _page()


@blueprint.post("/batch")
def upload() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Keep a file, and look at it."""
    file = request.files.get("file")
    name = PurePath((file.filename if file else "") or "").name[:200]
    ending = ENDINGS.get(PurePath(name.lower()).suffix)
    if file is None or not name:
        return _page(gettext("Choose a file.")), 400
    if ending is None:
        return _page(gettext("A CSV, Parquet or JSON lines file is needed.")), 400
    jobs = _jobs()
    job = jobs.create(name, g.principal.name, ending)
    try:
        file.save(jobs.upload(job))
        job.size = jobs.upload(job).stat().st_size
        found = look_at(here().profile, jobs.upload(job), name)
        jobs.path(job, "look.json").write_bytes(msgspec.json.encode(found))
        jobs.save(job)
    except (ConfigError, ImportError) as error:
        jobs.delete(job)
        fault = gettext(
            "This file cannot be sent as it is. Mend what its reader names, and upload it again."
        )
        return _page(fault, str(error)), 422
    except BaseException:  # half of a file is not to be sent as if it were all of it
        jobs.delete(job)
        raise
    return redirect(url_for(".one", job_id=job.id), 303)


@blueprint.get("/batch/<job_id>")
def one(job_id: str) -> str:
    """One file: before it is sent what was found in it, then how far it is, then the results."""
    return render_template("batch/one.html", **_shown(_mine(job_id)))


def _shown(job: Job) -> dict[str, Any]:
    jobs = _jobs()
    status, summary = jobs.status(job), jobs.summary(job)
    shown: dict[str, Any] = {
        "job": job,
        "status": status,
        "look": jobs.look(job),
        "progress": jobs.progress(job),
        "summary": summary,
        "said": request.args.get("said", ""),
    }
    if status in ("failed", "stopped"):
        shown["words"] = jobs.last_words(job)
    if summary is not None:
        shown |= {
            "shares": shares(summary["decisions"]),
            "histogram": histogram(summary["histogram"]),
            "reasons": bars([(name, float(count)) for name, count in summary["reasons"]]),
            "rejected": next(
                (n for n in _FILES if n.startswith("rejected") and jobs.path(job, n).exists()), ""
            ),
        }
    return shown


@blueprint.get("/batch/<job_id>/progress")
def progress(job_id: str) -> Response:
    """The part of the page that moves; when it is over, the whole page anew."""
    shown = _shown(_mine(job_id))
    response = Response(render_template("batch/progress.html", **shown))
    if shown["status"] != "running":
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.post("/batch/<job_id>/start")
def start(job_id: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Send it, or go on."""
    job = _mine(job_id)
    if _jobs().status(job) in ("running", "done"):
        return redirect(url_for(".one", job_id=job.id), 303)
    if _jobs().look(job) is None:  # it is still being kept, or that broke off
        abort(409)
    detail = {"file": job.name, "bytes": job.size}
    here().audit.add(Act(g.principal.name, "batch sent", job.id, detail))
    try:
        _jobs().start(job)
    except Busy:
        return redirect(url_for(".one", job_id=job.id, said="busy"), 303)
    return redirect(url_for(".one", job_id=job.id), 303)


@blueprint.post("/batch/<job_id>/stop")
def stop(job_id: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """End its sending."""
    job = _mine(job_id)
    here().audit.add(Act(g.principal.name, "batch stopped", job.id, {"file": job.name}))
    _jobs().stop(job)
    return redirect(url_for(".one", job_id=job.id), 303)


@blueprint.post("/batch/<job_id>/delete")
def delete(job_id: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Forget the file and its results; its rows in the database stay."""
    job = _mine(job_id)
    if _jobs().status(job) != "running":
        here().audit.add(Act(g.principal.name, "batch deleted", job.id, {"file": job.name}))
        _jobs().delete(job)
    return redirect(url_for(".page"), 303)


@blueprint.get("/batch/<job_id>/files/<name>")
def download(job_id: str, name: str) -> Response:
    """The results, or the refused rows."""
    job = _mine(job_id)
    path = _jobs().path(job, name) if name in _FILES else None
    if path is None or not path.exists():
        abort(404)
    stem = PurePath(job.name).stem
    return send_file(
        path.resolve(), _FILES[name], as_attachment=True, download_name=f"{stem}-{name}"
    )
