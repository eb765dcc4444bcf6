"""What brings transactions in: the HTTP API, the simulator, files, and redriven dead letters."""
