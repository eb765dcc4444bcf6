"""Detectors: each gives a transaction log-odds of fraud."""
