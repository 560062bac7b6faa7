"""Does serving prepare rows as the training did, and answer as it did: on what clients really sent."""
