"""Files sent through the API: transactions and verdicts."""
