#!/usr/bin/env bash
# A seek that follows an assignment at the end of the log is undone in librdkafka, and nothing says so.
#
# An assignment at OFFSET_END asks the broker where the end is. A seek meanwhile succeeds, and records
# come from where one sought. The broker's answer, late by then, is taken for one that is to be asked
# for again half a second later, and the second answer moves the partition to the end: what lies
# between is never delivered. No error, no event. With an answer in time, or an assignment at a number,
# all of it comes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet confluent-kafka==2.16.1
cat >seek.py <<'PY'
import time

import confluent_kafka as ck

RECORDS = 60
print("confluent-kafka", ck.version(), "librdkafka", ck.libversion()[0])
producer = ck.Producer({
    "test.mock.num.brokers": 1,
    "test.mock.broker.rtt": 100,  # ms, so that "meanwhile" is long enough
    "bootstrap.servers": "mock",
    "batch.num.messages": 1,
    "log_level": 0,
})
(broker,) = producer.list_topics(timeout=10).brokers.values()
for _ in range(RECORDS):
    producer.produce("topic", b"x" * 100, partition=0)
producer.flush(60)


def read(assigned_at, seconds_between):
    """How many records come after a seek to 0, in at most 20 s."""
    consumer = ck.Consumer({
        "bootstrap.servers": f"{broker.host}:{broker.port}",
        "group.id": "group",
        "fetch.message.max.bytes": 500,  # several fetches, as on any topic of some size
        "log_level": 0,
    })
    consumer.list_topics("topic", 10)
    consumer.assign([ck.TopicPartition("topic", 0, assigned_at)])
    time.sleep(seconds_between)
    until = time.monotonic() + 10
    while True:
        try:
            consumer.seek(ck.TopicPartition("topic", 0, 0))
            break
        except ck.KafkaException:  # not assigned yet
            if time.monotonic() > until:
                raise
            time.sleep(0.001)
    count, until = 0, time.monotonic() + 20
    while count < RECORDS and time.monotonic() < until:
        message = consumer.poll(0.1)
        count += message is not None and message.error() is None
    consumer.close()
    return count


at_once, later, at_number = (
    read(ck.OFFSET_END, 0),
    read(ck.OFFSET_END, 1),
    read(RECORDS, 0),
)
print(f"assigned at the end, sought to 0 at once: {at_once} of {RECORDS} records")
print(f"assigned at the end, sought to 0 after 1 s: {later} of {RECORDS} records")
print(f"assigned at {RECORDS}, sought to 0 at once: {at_number} of {RECORDS} records")
if not (at_once < RECORDS and later == at_number == RECORDS):
    raise SystemExit("changed")
PY
venv/bin/python seek.py
