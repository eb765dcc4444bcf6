"""The page of the thresholds: what others would do, and setting them."""
