"""Where what serves came from, and whether it comes from there again."""
