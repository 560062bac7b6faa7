"""Judge plain files: is the data sound, and has it drifted, with no platform running."""
