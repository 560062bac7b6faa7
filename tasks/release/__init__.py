"""How a promoted version comes to serve, and back."""
