"""Training, retraining and backtests."""
