"""Labels into online weights, and what guards them."""
