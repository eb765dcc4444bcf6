"""What `up` and `run` do: which processes, in which order, and how each is put together."""
