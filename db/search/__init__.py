"""Finding transactions, and what stands around one of them. Functions on an open connection."""
