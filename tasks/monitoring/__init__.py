"""Whether what serves is still right, and whether a new training is due."""
