"""The way of a row: landed, checked, joined, pinned, labelled."""
