"""On which columns do the champion's answers rest, and has that changed? Asked once a month."""
