"""Customers, fraudsters and verdicts made by chance, for demonstrations and tests."""
