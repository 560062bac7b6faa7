"""What waits in the triggerer for something to happen."""
