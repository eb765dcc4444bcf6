"""The isolation forest."""
