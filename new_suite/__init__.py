"""`make suite`: a suite and the columns' types, proposed from a sample file for somebody to review."""
