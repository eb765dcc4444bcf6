"""The field's own formats, read into rows: bank statements and payment messages."""
