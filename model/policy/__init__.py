"""Rules, lists, suppressions and thresholds that people set: checked, compiled, and decided by."""
