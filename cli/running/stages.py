"""From settings to a running stage: profile, broker, stage, sink, runner, pulse."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from cli.running.first_key import check_keys
from cli.running.makers import MAKERS
from tidegate.errors import Retry
from tidegate.host.gate import opened, stop_on_signals
from tidegate.log import set_up
from tidegate.pipeline import CONTROL, MODELS, group_of

if TYPE_CHECKING:
    from consumers.learn import LearnStage
    from consumers.notify.running import Notifier
    from tidegate.broker.ports import Broker, Consumer
    from tidegate.broker.records import Batch
    from tidegate.profile import Profile
    from tidegate.settings import Settings
    from tidegate.stream.pulse import Pulse
    from tidegate.stream.runner import Runner
    from tidegate.stream.sink import Sink
    from tidegate.stream.skips import Skips
    from tidegate.stream.stage import Stage
SERVERS = {
    "ingest": "producers.api.serve",
    "dashboard": "dashboard.serve",
    "retrain": "consumers.retraining.schedule",
}
"""Each server's module, whose `serve` runs until SIGTERM."""
_ASKS_KEYS = ("ingest", "dashboard")
_DETECTORS = 20
"""More of them than a bundle has may take their time one after the other; then a scorer hangs."""
_LABELS = 20_000
"""The learner's batch at least, since it rests after each; and the way to its next checkpoint."""
_EARLY = ("tidegate.stream.runner", "tidegate.broker.kafka", "tidegate.status.health")
"""What every stage needs as well, imported while the gate is closed."""


def run_stage(name: str, settings: Settings) -> None:
    """Run a stage or a server until SIGTERM.

    Raises ConfigError or Stop when a restart would not help.
    """
    # in containers all pids are 1
    process = settings.instance or f"{name}-{platform.node()}-{os.getpid()}"
    set_up(process, settings.log_level)
    stop = threading.Event()
    stop_on_signals(stop)
    module = import_module(SERVERS[name] if name in SERVERS else MAKERS[name][0])
    if name not in SERVERS:
        for early in _EARLY:
            import_module(early)
    opened(stop)
    if stop.is_set():
        return
    if name in SERVERS:
        if name in _ASKS_KEYS:
            check_keys(settings, pages_only=name == "dashboard")
        module.serve(settings)
    else:
        _consume(name, process, settings, stop)


def _consume(name: str, process: str, settings: Settings, stop: threading.Event) -> None:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.broker.tail import Tail
    from tidegate.profile import load_profile
    from tidegate.status.health import Health
    from tidegate.stream.pulse import HUNG_SECONDS, Pulse
    from tidegate.stream.skips import Skips, topic_id

    hung_seconds = max(HUNG_SECONDS, _DETECTORS * settings.detector_seconds)
    pulse = Pulse(guards=True, hung_seconds=hung_seconds)
    profile, broker = load_profile(settings.profile), KafkaBroker(settings)
    running: tuple[Stage[Any], Runner, Skips] | None = None
    while running is None and not stop.is_set():
        try:
            stage = MAKERS[name][1](profile, settings, broker)
            skips = Skips(name, stage.input, topic_id(broker, stage.input))
            runner = _runner(stage, process, settings, profile, broker, pulse, skips)
            running = stage, runner, skips
        except Retry as error:
            _wait(error, stop)
        pulse.beat()
    if running is None:
        pulse.end()
        return
    stage, runner, skips = running
    producer = broker.producer()
    health = Health(
        process,
        name,
        producer,
        lambda: runner.progress,
        host=settings.host,
        port=settings.metrics_port,
        restarts=int(os.environ.get("TIDEGATE_RESTARTS", "0")),
        models=lambda: _model(stage),
        drift=lambda: getattr(stage, "drift", None),
        refused=lambda: getattr(stage, "refused", ""),
        prepared=lambda: getattr(stage, "prepared", None),
        policy=lambda: getattr(stage, "policy", ""),
    ).start()
    orders = Tail(broker, CONTROL, skips.absorb, from_start=True).start()
    try:
        with _beside(stage, broker, stop):
            runner.run(stop)
    finally:
        orders.close()
        health.close()
        producer.close()


def _runner(
    stage: Stage[Any],
    process: str,
    settings: Settings,
    profile: Profile,
    broker: Broker,
    pulse: Pulse,
    skips: Skips,
) -> Runner:
    """Raises Retry when something is away; then nothing stays open."""
    from tidegate.stream.runner import Runner
    from tidegate.stream.snapshot import Snapshots

    learns, batch, every = stage.name == "learn", settings.batch, settings.snapshot_every
    if learns:
        batch, every = max(batch, _LABELS), min(every, _LABELS)
    with ExitStack() as resources:
        consumer = broker.consumer(group_of(stage.name), instance=settings.instance or None)
        resources.callback(consumer.close)
        sink = _sink(stage, process, settings, profile, broker, consumer)
        resources.callback(sink.close)
        runner = Runner(
            stage,
            broker,
            consumer,
            sink,
            snapshots=Snapshots(settings.snapshots_url, _LABELS if learns else 0),
            batch=batch,
            snapshot_every=every,
            pulse=pulse,
            hold_seconds=settings.hold_seconds,
            skips=skips,
        )
        resources.pop_all()
    return runner


def _beside(
    stage: Stage[Any], broker: Broker, stop: threading.Event
) -> AbstractContextManager[None]:
    """What a stage does beside its loop."""
    if stage.name == "learn":
        return _while_champion(cast("LearnStage", stage), broker, stop)
    if stage.name == "notify":
        from consumers.notify.running import while_telling

        return while_telling(cast("Notifier", stage), broker, stop)
    return nullcontext()


@contextmanager
def _while_champion(learner: LearnStage, broker: Broker, stop: threading.Event) -> Iterator[None]:
    """Stop the learner when another bundle than its own is promoted.

    Raises Superseded in the end.
    """
    from consumers.learn import Superseded
    from tidegate.broker.tail import Tail

    found: list[str] = []

    def look(batch: Batch) -> None:
        if why := learner.superseded(batch):
            found.append(why)
            stop.set()

    tail = Tail(broker, MODELS, look, from_start=True).start()
    try:
        yield
    finally:
        tail.close()
    if found:
        raise Superseded(found[-1])


def _model(stage: Stage[Any]) -> tuple[str, int]:
    """The bundle in use, and the scorer's offset on topic models; most stages use neither."""
    bundle = getattr(stage, "bundle", None)
    return bundle.hash if bundle else "", getattr(stage, "models_offset", -1)


def _wait(error: Retry, stop: threading.Event) -> None:
    logging.getLogger(__name__).warning("waiting: %s", error)
    stop.wait(1.0)


def _sink(
    stage: Stage[Any],
    process: str,
    settings: Settings,
    profile: Profile,
    broker: Broker,
    consumer: Consumer,
) -> Sink:
    from tidegate.clock import now_us

    if stage.name == "persist":
        from db.names import names_of
        from db.retention import Retention
        from db.sink import SqlSink

        days = settings.retention_days
        retention = Retention(days, now_us) if days else None
        names = names_of(profile)
        return SqlSink(
            settings.db_url,
            broker,
            names,
            clock=now_us,
            retention=retention,
            sample=settings.review_sample,
        )
    if stage.name == "cases":
        from db.cases.sink import CasesSink
        from db.erasing import erased_at, ids_secret

        erased = partial(erased_at, settings.db_url, ids_secret(profile))
        most = settings.review_daily
        return CasesSink(settings.db_url, broker, erased, clock=now_us, daily=most)
    if stage.name == "notify":
        from db.notify.sink import OutboxSink

        notifier = cast("Notifier", stage)
        return OutboxSink(
            notifier.outbox,
            broker,
            profile=profile.hash,
            clock=now_us,
            wake=notifier.senders.wake,
        )
    if stage.name == "learn":
        from model.bundles.published import WeightsSink

        return WeightsSink(
            broker,
            consumer,
            cast("LearnStage", stage).bundle.hash,
            instance=process,
            profile=profile.hash,
            clock=now_us,
        )
    from consumers.discreet import discreet
    from tidegate.stream.sink import KafkaSink

    return KafkaSink(
        broker,
        consumer,
        stage.name,
        instance=process,
        profile=profile.hash,
        clock=now_us,
        letters=partial(discreet, profile, vault=getattr(stage, "vault", None)),
    )
