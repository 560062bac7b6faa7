"""The dead man's switch: whether the loop, which looks at everything each minute, is at work itself."""
