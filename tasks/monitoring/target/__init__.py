"""Has the target changed, or the model become worse? From summaries of windows, never from rows again."""
