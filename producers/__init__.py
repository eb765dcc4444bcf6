"""What brings transactions in: the HTTP API, the simulator, file sending, redriving of dead
letters.
"""
