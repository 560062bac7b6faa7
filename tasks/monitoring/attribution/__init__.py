"""On which columns do the champion's answers rest, and has that changed? Once a month, by exchanging values."""
