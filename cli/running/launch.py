"""The start of everything in order, and the loop that keeps it up."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cli.running import steps
from cli.running.first_key import check_keys
from cli.running.first_model import FirstModel
from cli.running.handover import changes_profile, check_profile
from cli.running.processes import broker_child, children
from cli.running.screen import Screen
from tidegate.broker.kafka import KafkaBroker
from tidegate.errors import ConfigError, Retry
from tidegate.host import jars
from tidegate.host.embedded import aot_cache
from tidegate.host.exits import Exits
from tidegate.host.process import Child
from tidegate.host.spawn import guarded
from tidegate.host.supervisor import Supervisor, check_disk, check_ports, locked
from tidegate.profile import load_profile
from tidegate.settings import Settings
from tidegate.status.heartbeats import heartbeats

if TYPE_CHECKING:
    from tidegate.messages.heartbeats import Heartbeat

_LOG = logging.getLogger(__name__)
_JARS_SECONDS = 600.0
_BROKER_SECONDS = 180.0
_TRAINING_SECONDS = 3600.0
"""Its progress is on the screen; who finds it too long may end it."""


class _Interrupted(Exception):
    """A signal came before everything was up."""


class Launch:
    """One `tidegate up`."""

    def __init__(self, settings: Settings, scales: Mapping[str, int], simulate: float) -> None:
        self.settings = settings
        self.profile = load_profile(settings.profile)
        self.children = children(settings, self.profile, scales, simulate)
        self.warming = Child("warm-up", [sys.executable, "-m", "tidegate.host.warm"], settings.home)
        self.screen = Screen(settings, self.profile)
        self.first_model = FirstModel(settings, self.profile, self.screen.note)

    def run(self) -> int:
        """Start, stay up until a signal, drain. Returns the exit code.

        Raises ConfigError when the start is refused.
        """
        home = self.settings.home
        (home / "log").mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=home / "log" / "up.log", force=True, format="%(asctime)s %(name)s %(message)s"
        )
        with locked(home):
            check_keys(self.settings)
            check_disk(home)
            check_ports(self._ports())
            exits = Exits(home)

            def changed(child: Child) -> None:
                self.screen.changed(child)
                exits.note(child)

            supervisor = Supervisor(self.children, None, changed)
            supervisor.install_signals()
            try:
                self._start(supervisor)
                self._watch(supervisor)
            except _Interrupted:
                pass
            finally:
                self.screen.close()
                self.screen.note("stopping: entrances first, then stage by stage")
                self.first_model.stop()
                self.warming.ask()
                supervisor.drain()
                self.warming.end(time.monotonic())
                self.screen.note("stopped; state is kept in " + str(home))
        return 0

    def _ports(self) -> dict[str, tuple[str, int]]:
        settings = self.settings
        ports = {
            "TIDEGATE_PORT": (settings.host, settings.port),
            "TIDEGATE_DASHBOARD_PORT": (settings.host, settings.dashboard_port),
        }
        return (
            ports
            if settings.kafka
            else {**ports, "TIDEGATE_KAFKA_PORT": ("127.0.0.1", settings.kafka_port)}
        )

    def _start(self, supervisor: Supervisor) -> None:
        changed = changes_profile(self.settings, self.profile)
        if not changed:
            self.first_model.start()
        self._start_broker(supervisor)
        for child in self.children:  # they import while Kafka starts, and wait at their gates
            child.start()
        steps.migrate(self.settings)
        self._await(
            supervisor,
            lambda: steps.broker_answers(self.settings),
            _BROKER_SECONDS,
            "Kafka is not up",
        )
        self._when_up(supervisor, lambda: steps.make_topics(self.settings))
        self._when_up(supervisor, self._check_profile)
        if changed:  # it may have been refused: only now is a training worth its time
            self.first_model.start()
        self._await(
            supervisor, self.first_model.ready, _TRAINING_SECONDS, "training takes too long"
        )
        self._when_up(supervisor, self._promote_first)
        self._when_up(supervisor, lambda: steps.keep_own_rules(self.settings, self.profile))
        for child in self.children:
            child.release()

    def _check_profile(self) -> None:
        if remark := check_profile(self.settings, self.profile):
            self.screen.note(remark)

    def _promote_first(self) -> None:
        if warning := steps.promote_first(self.settings, self.profile):
            _LOG.warning("%s", warning)
            self.screen.note(f"WARNING: {warning}")

    def _start_broker(self, supervisor: Supervisor) -> None:
        if self.settings.kafka:
            self.screen.note(f"Kafka: {self.settings.kafka}")
            return
        if not jars.present():
            self._fetch_jars(supervisor)
        self.screen.note("starting Apache Kafka")
        supervisor.broker = broker_child(self.settings)
        supervisor.broker.start()

    def _fetch_jars(self, supervisor: Supervisor) -> None:
        """In a process of its own, so that a signal ends it at once."""
        self.screen.note("fetching the jars of Apache Kafka, once on this machine")
        command = guarded([sys.executable, "-m", "tidegate.host.jars"])
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as fetching:  # noqa: S603 - our own command
            try:
                self._await(
                    supervisor,
                    lambda: fetching.poll() is not None,
                    _JARS_SECONDS,
                    "no jars of Apache Kafka",
                )
            finally:
                fetching.kill()
            if fetching.returncode:
                raise ConfigError(fetching.stderr.read().strip() if fetching.stderr else "")

    def _watch(self, supervisor: Supervisor) -> None:
        with heartbeats(KafkaBroker(self.settings), self.profile) as beats:
            self.screen.open()
            supervisor.run(lambda: self._tick(supervisor, beats()))

    def _tick(self, supervisor: Supervisor, beats: list[Heartbeat]) -> None:
        was_ready = self.screen.ready
        self.screen.tick(supervisor, beats)
        if self.screen.ready and not was_ready and supervisor.broker:
            self._warm()

    def _warm(self) -> None:
        """Beside the work, at the lowest priority: a first start does not wait for it."""
        if not aot_cache().exists():
            self.screen.note("warming Kafka's Java up for later starts, once on this machine")
            self.warming.start()

    def _when_up(self, supervisor: Supervisor, step: Callable[[], None]) -> None:
        """Do a step, again while Kafka is still electing its leaders."""

        def done() -> bool:
            try:
                step()
            except Retry as error:
                self.screen.note(f"waiting: {error}")
                return False
            return True

        self._await(supervisor, done, _BROKER_SECONDS, "Kafka answers, but is not ready")

    def _await(
        self, supervisor: Supervisor, done: Callable[[], bool], seconds: float, complaint: str
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            supervisor.watch()
            if supervisor.stopping:
                raise _Interrupted
            self.first_model.ready()  # a training that failed ends all waiting
            if time.monotonic() > deadline:
                logs = self.settings.home / "log"
                raise Retry(f"{complaint} after {seconds:.0f} s: see the logs in {logs}")
            time.sleep(0.05)
