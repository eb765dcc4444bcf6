"""One hop as a PyFlink job: windows by the account, and LightGBM, exactly once.

Runs in a virtual environment of its own, until SIGTERM: `python -m benchmarks.peers.pyflink_job
ADDRESS SOURCE TARGET SETTINGS FOLDER JAR`, the last one Flink's connector for Kafka.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.state import ValueStateDescriptor

from benchmarks.peers.windows import Columns, packed, unpacked

PARALLEL, CHECKPOINT_MS, BUNDLE_MS = 2, 100, 20
"""Two cores; a result can be read after its checkpoint; how long Python gathers what comes."""
TRANSACTION_MS = 60_000
_ADDRESSES = (
    "jobmanager.bind-host",
    "jobmanager.rpc.address",
    "rest.address",
    "rest.bind-address",
    "taskmanager.bind-host",
    "taskmanager.host",
)


class Score(KeyedProcessFunction):
    """Adds a transaction to its account's windows, and scores it."""

    def __init__(self, settings: str) -> None:
        self._settings = settings

    def open(self, context: RuntimeContext) -> None:
        """Read the model in the worker that scores."""
        self._columns = Columns(Path(self._settings))
        self._booster = lightgbm.Booster(model_file=self._columns.model)
        described = ValueStateDescriptor("windows", Types.PICKLED_BYTE_ARRAY())
        self._windows = context.get_state(described)

    def process_element(self, text: str, _context: KeyedProcessFunction.Context) -> Iterator[str]:
        """The result as JSON."""
        transaction = json.loads(text)
        windows = unpacked(self._windows.value())
        row = self._columns.row(transaction, windows)
        self._windows.update(packed(windows))
        score = self._booster.predict(np.array([row]), raw_score=True, num_threads=1)[0]
        result = {
            "id": transaction["transaction_id"],
            "score": float(score),
            "features": [value if value == value else None for value in row],
            "transaction": transaction,
        }
        yield json.dumps(result)


def main(address: str, source: str, target: str, settings: str, folder: str, jar: str) -> None:
    """Run it."""
    values = {
        "pipeline.jars": f"file://{jar}",
        "python.executable": sys.executable,
        "python.fn-execution.bundle.time": str(BUNDLE_MS),
        "execution.checkpointing.interval": f"{CHECKPOINT_MS}ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        "io.tmp.dirs": folder,
        "parallelism.default": str(PARALLEL),
        **dict.fromkeys(_ADDRESSES, "127.0.0.1"),
    }
    configuration = Configuration()
    for name, value in values.items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    read = (
        KafkaSource.builder()
        .set_bootstrap_servers(address)
        .set_group_id(source)
        .set_topics(source)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_property("isolation.level", "read_committed")
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    written = (
        KafkaSink.builder()
        .set_bootstrap_servers(address)
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic(target)
            .set_value_serialization_schema(SimpleStringSchema())
            .build()
        )
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(source)
        .set_property("transaction.timeout.ms", str(TRANSACTION_MS))
        .build()
    )
    (
        environment.from_source(read, WatermarkStrategy.no_watermarks(), "transactions")
        .key_by(lambda text: json.loads(text)["user_id"], Types.STRING())
        .process(Score(settings), Types.STRING())
        .sink_to(written)
    )
    environment.execute(source)


if __name__ == "__main__":
    main(*sys.argv[1:])
