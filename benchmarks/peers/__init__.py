"""`make bench-peers`: Tidegate beside other stream processors, on one broker, with one model."""
