"""A decision again, beside the running system: replays and rescores. These modules read Kafka."""
