"""How good the models are: metrics, comparisons and reports."""
