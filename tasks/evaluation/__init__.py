"""How well a model does on frozen rows."""
