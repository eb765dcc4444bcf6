"""The start of everything in order, and the loop that keeps it up."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from cli.running import steps as bootstrap
from cli.running.handover import check_profile
from cli.running.processes import broker_child, children
from cli.running.screen import Screen
from tidegate.errors import ConfigError, Retry
from tidegate.host.embedded import aot_cache
from tidegate.host.spawn import guarded, tidegate
from tidegate.host.supervisor import Supervisor, check_disk, check_ports, locked
from tidegate.profile import load_profile
from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
_BROKER_SECONDS = 180.0
_TRAINING_SECONDS = 120.0


class _Interrupted(Exception):
    """A signal came before everything was up."""


class Launch:
    """One `tidegate up`."""

    def __init__(self, settings: Settings, scales: Mapping[str, int], simulate: float) -> None:
        self.settings = settings
        self.profile = load_profile(settings.profile)
        self.children = children(settings, self.profile, scales, simulate)
        self.screen = Screen(settings, self.profile)

    def run(self) -> int:
        """Start, stay up until a signal, drain. Returns the exit code; raises ConfigError when
        refused.
        """
        home = self.settings.home
        (home / "log").mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=home / "log" / "up.log", force=True, format="%(asctime)s %(name)s %(message)s"
        )
        with locked(home):
            check_disk(home)
            check_ports(self._ports())
            self.screen.note(
                "starting Apache Kafka"
                if not self.settings.kafka
                else f"Kafka: {self.settings.kafka}"
            )
            found = broker_child(self.settings)
            supervisor = Supervisor(self.children, found[1] if found else None, self.screen.changed)
            supervisor.install_signals()
            try:
                self._start(supervisor)
                self._watch(supervisor)
            except _Interrupted:
                pass
            finally:
                self.screen.close()
                self.screen.note("stopping: entrances first, then stage by stage")
                supervisor.drain()
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
        training = self._train()
        if supervisor.broker:
            self._warm(supervisor)
            supervisor.broker.start()
        for child in self.children:  # they import while Kafka starts, and wait at their gates
            child.start()
        bootstrap.migrate(self.settings)
        self._await(
            supervisor,
            lambda: bootstrap.broker_answers(self.settings),
            _BROKER_SECONDS,
            "Kafka is not up",
        )
        self._when_up(supervisor, lambda: bootstrap.make_topics(self.settings))
        self._when_up(supervisor, lambda: check_profile(self.settings, self.profile))
        if training:
            self._await(
                supervisor,
                lambda: training.poll() is not None,
                _TRAINING_SECONDS,
                "training takes too long",
            )
            if training.returncode:
                raise ConfigError(
                    f"training the first model failed with exit code {training.returncode}"
                )
        self._when_up(supervisor, self._promote_first)
        for child in self.children:
            child.release()

    def _promote_first(self) -> None:
        if warning := bootstrap.promote_first(self.settings, self.profile):
            _LOG.warning("%s", warning)
            self.screen.note(f"[bold red]WARNING: {warning}[/]")

    def _train(self) -> subprocess.Popen[bytes] | None:
        if bootstrap.has_bundle(self.settings, self.profile):
            return None
        self.screen.note("training the first model on the profile's history")
        return subprocess.Popen(guarded(tidegate("train")))  # noqa: S603 - our own command

    def _warm(self, supervisor: Supervisor) -> None:
        if aot_cache().exists():
            return
        self.screen.note("warming Kafka's Java up, once on this machine (25 s)")
        warming = subprocess.Popen(guarded([sys.executable, "-m", "tidegate.host.warm"]))  # noqa: S603 - our own command
        self._await(
            supervisor,
            lambda: warming.poll() is not None,
            _BROKER_SECONDS,
            "warming up takes too long",
        )

    def _watch(self, supervisor: Supervisor) -> None:
        with bootstrap.heartbeats(self.settings, self.profile) as beats:
            self.screen.open()
            supervisor.run(lambda: self.screen.tick(supervisor, beats()))

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

    @staticmethod
    def _await(
        supervisor: Supervisor, done: Callable[[], bool], seconds: float, complaint: str
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            supervisor.watch()
            if supervisor.stopping:
                raise _Interrupted
            broker = supervisor.broker
            if time.monotonic() > deadline:
                raise Retry(
                    f"{complaint} after {seconds:.0f} s" + (f": see {broker.log}" if broker else "")
                )
            time.sleep(0.05)
