"""Whether everything that was acknowledged is somewhere: rows, dead letters, or under way."""
