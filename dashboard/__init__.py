"""The results pages: live table, counters, one transaction with its reasons."""
