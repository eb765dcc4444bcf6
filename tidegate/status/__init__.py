"""What the processes say of themselves: heartbeats, health, the board."""
