"""What is kept of the rows of a window, so that no later question reads them again."""
