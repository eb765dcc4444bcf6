"""The stages: what each consumer does to a batch of records, without I/O."""
