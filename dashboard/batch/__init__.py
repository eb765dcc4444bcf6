"""The page for whole files: upload, look, send, and the results."""
