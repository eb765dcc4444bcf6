"""How far the stream has moved from what a bundle was trained on."""
