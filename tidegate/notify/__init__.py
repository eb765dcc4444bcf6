"""Notifications: who is told of what, and how it is sent. No database and no Kafka."""
