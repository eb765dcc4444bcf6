"""The process `tidegate run retrain`: when it trains, what it tries, what it reports."""
