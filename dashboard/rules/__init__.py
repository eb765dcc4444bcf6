"""Rules, lists and suppressions: written, tried on past rows, and brought into force."""
