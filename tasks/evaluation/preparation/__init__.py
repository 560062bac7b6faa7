"""Is a row prepared in the same way when a model is trained and when it serves? Row by row, bit by bit."""
