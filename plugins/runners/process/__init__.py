"""Steps as child processes."""
