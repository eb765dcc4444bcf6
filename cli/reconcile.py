"""`tidegate reconcile`: what became of everything that was acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    period,
    print_json,
    settings_with,
)
from tidegate.clock import now_us
from tidegate.messages.findings import Finding

if TYPE_CHECKING:
    from db.reconcile.ledger import Missing, Totals

Since = Annotated[
    str,
    typer.Option("--since", metavar="DATE", help="Only what was ingested on this day (UTC) on."),
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, help="Name so many of the missing records; 0: all.")
]
Textfile = Annotated[
    Path | None,
    typer.Option(
        "--textfile",
        metavar="FILE",
        help="Write the metric there, for the textfile collector of Prometheus' node exporter.",
    ),
]
_HEADINGS = {
    "row": "rows",
    "dead_letter": "dead letters",
    "under_way": "under way",
    "repeat": "repeats",
    "passed": "passed by",
    "erased": "erased",
    "missing": "missing",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reconcile)


def reconcile(
    since: Since = "",
    limit: Limit = 100,
    textfile: Textfile = None,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare what was acknowledged with rows, dead letters and what is under way.

    Each record of the raw topic is looked for, by partition and day. Exit code 1 when one is
    missing, or a row names a record that is not there; then it is told on the topic operations,
    too. The stages may run meanwhile.

    Example: [bold]tidegate reconcile --since 2026-01-31 --textfile reconcile.prom[/bold]
    """
    from db.reconcile.reconcile import Reconciler
    from tidegate.broker.announce import announce
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    since_us, _ = period(since, "")
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    broker = KafkaBroker(settings)
    broker.check()
    loaded = load_profile(settings.profile)
    reconciler = Reconciler(broker, loaded, settings.db_url)
    try:
        totals = reconciler.run((since_us or 0) // 1000, limit)
    finally:
        reconciler.close()
    if textfile is not None:
        write_metric(totals, textfile)
    if as_json:
        print_json(document(totals))
    else:
        typer.echo("\n".join(lines(totals)))
    if not totals.equal:
        announce(broker, gap(totals, loaded.hash.decode()))
        raise typer.Exit(1)


def write_metric(totals: Totals, file: Path) -> None:
    """Replace the file by one with the metric, in one step."""
    from prometheus_client import CollectorRegistry, write_to_textfile

    from db.reconcile.ledger import OUTCOMES
    from tidegate.metrics import RECONCILED

    registry = CollectorRegistry()
    registry.register(RECONCILED)
    for outcome in OUTCOMES:
        RECONCILED.labels(outcome).set(totals.of(outcome))
    write_to_textfile(str(file), registry)


def gap(totals: Totals, profile: str) -> Finding:
    """What is told to whoever runs the pipeline; `profile` is the profile's hash."""
    missing, beside = totals.of("missing"), totals.rows_without_record
    told = f"Reconciliation: {missing:,} of {totals.records:,} acknowledged records are missing"
    detail = f"{beside:,} rows name a record that is not on the raw topic" if beside else ""
    return Finding("reconciliation_gap", profile, now_us(), good=False, told=told, detail=detail)


def document(totals: Totals) -> dict[str, object]:
    """What `--json` prints."""
    from db.reconcile.ledger import OUTCOMES

    return {
        "equal": totals.equal,
        "records": totals.records,
        **{outcome: totals.of(outcome) for outcome in OUTCOMES},
        "rows_without_record": totals.rows_without_record,
        "days": [
            {"day": day, "partition": partition, **counts}
            for (day, partition), counts in _by_day(totals).items()
        ],
        "named": [each._asdict() for each in totals.missing],
    }


def lines(totals: Totals) -> list[str]:
    """A table by day and partition, what is missing, and the outcome in a sentence."""
    shown = [f"{'day':<10} {'part':>4}  " + "".join(f"{name:>14}" for name in _HEADINGS.values())]
    shown += [
        f"{day} {partition:>4}  " + "".join(f"{counts[name]:>14,}" for name in _HEADINGS)
        for (day, partition), counts in _by_day(totals).items()
    ]
    shown += [_of_missing(each) for each in totals.missing]
    if unnamed := totals.of("missing") - len(totals.missing):
        shown.append(f"         and {unnamed:,} more; --limit 0 names all")
    if totals.rows_without_record:
        shown.append(
            f"{totals.rows_without_record:,} rows name a record that is not on the raw topic: "
            "does this database belong to this Kafka?"
        )
    if missing := totals.of("missing"):
        shown.append(f"{missing:,} of {totals.records:,} records are missing")
    else:
        shown.append(f"all {totals.records:,} records are accounted for")
    return shown


def _of_missing(missing: Missing) -> str:
    time = datetime.fromtimestamp(missing.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"missing: {missing.partition}:{missing.offset}  {time}  {missing.id or '(no id)'}"


def _by_day(totals: Totals) -> dict[tuple[str, int], dict[str, int]]:
    found: dict[tuple[str, int], dict[str, int]] = {}
    for (partition, day, outcome), count in totals.counts.items():
        found.setdefault((day, partition), dict.fromkeys(_HEADINGS, 0))[outcome] = count
    return dict(sorted(found.items()))
