#!/usr/bin/env bash
# A partition that was out of range under `auto.offset.reset=error` can no longer be sought in librdkafka.
#
# The error names the partition and the consumer stays alive, so the natural mend is to seek to the
# offset that one chooses. seek() answers "Erroneous state", however long one waits, and polls bring
# nothing: the fetcher has been stopped. Only assigning the partition anew starts it again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet confluent-kafka==2.16.1
cat >out_of_range.py <<'PY'
import time

import confluent_kafka as ck

print("confluent-kafka", ck.version(), "librdkafka", ck.libversion()[0])
producer = ck.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
(broker,) = producer.list_topics(timeout=10).brokers.values()
for number in range(5):
    producer.produce("topic", str(number), partition=0)
producer.flush(10)

consumer = ck.Consumer({
    "bootstrap.servers": f"{broker.host}:{broker.port}",
    "group.id": "group",
    "auto.offset.reset": "error",
    "log_level": 0,
})


def first(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (message := consumer.poll(0.2)) is not None:
            return message.error().name() if message.error() else message.value().decode()
    return "nothing"


def sought():
    """What seeking to the first record answers, tried for three seconds."""
    until = time.monotonic() + 3
    while True:
        try:
            consumer.seek(ck.TopicPartition("topic", 0, 0))
        except ck.KafkaException as error:
            answer = error.args[0].name()
        else:
            return "done"
        if time.monotonic() > until:
            return answer
        time.sleep(0.1)


consumer.assign([ck.TopicPartition("topic", 0, 100)])
print("read from 100, the log ends at 5:", error := first(10))
print("seek to 0:", answer := sought())
print("then polled:", polled := first(3))
consumer.assign([ck.TopicPartition("topic", 0, 0)])
print("assigned at 0, then polled:", again := first(10))
consumer.close()
expected = ("_AUTO_OFFSET_RESET", "_STATE", "nothing", "0")
if (error, answer, polled, again) != expected:
    raise SystemExit("changed")
PY
venv/bin/python out_of_range.py
