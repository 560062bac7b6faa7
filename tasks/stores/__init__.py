"""Where things are kept: files, tables, the database, the registry."""
