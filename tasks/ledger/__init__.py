"""Who decided what, and what that promises."""
