"""Dead letters, listed and put back."""
