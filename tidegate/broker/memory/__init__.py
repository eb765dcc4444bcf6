"""The broker in memory: the twin of Kafka that tests and files use."""
