"""Past transactions from files, as the stream would have seen them."""
