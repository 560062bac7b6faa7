"""Where something came from, what came from it, and why it was decided."""
