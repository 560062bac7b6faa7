"""The page that each drift check leaves: one file that loads nothing."""
