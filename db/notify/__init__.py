"""What is told and was told: the outbox of the stage `notify`."""
