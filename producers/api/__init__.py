"""The HTTP API that takes transactions and verdicts."""
