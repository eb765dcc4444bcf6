"""Processes on this machine: the embedded broker, the supervisor, the web servers."""
