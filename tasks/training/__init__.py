"""The making of a candidate."""
