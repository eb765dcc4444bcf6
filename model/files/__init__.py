"""Files as people have them, read one way for whatever sends, trains, tests or labels."""
