"""The pages of transactions: one with all that is known of it, and the search for them."""
