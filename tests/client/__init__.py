"""The Python client, against the real API on the broker in memory."""
