"""A profile drafted from a file: evidence of its columns, choices, and the YAML that says them."""
