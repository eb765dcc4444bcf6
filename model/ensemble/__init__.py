"""Many scores to one decision: the stack, the rank average, the thresholds."""
