"""Tables, engines and the SQL sink: rows and offsets in one transaction."""
