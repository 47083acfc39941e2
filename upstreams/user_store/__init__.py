"""The user store: the platform's relational database, PostgreSQL or SQLite (read by the same statements)."""
