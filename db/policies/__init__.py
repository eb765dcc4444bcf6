"""What policies need of the database: rows to try them on, and proposals that wait."""
