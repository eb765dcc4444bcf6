"""Who is told of what: channels, the log of deliveries, and what people do there."""
