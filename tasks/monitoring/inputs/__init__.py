"""Has the input changed: each column, and all of them together, against the reference's own days."""
