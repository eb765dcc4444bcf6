"""Cases for people: what they have to look at, what they said of it, and every verdict there is."""
