"""The ports to a message broker, and what crosses them."""
