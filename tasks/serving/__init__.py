"""How a model is served: the backends behind one protocol, and the gateway in front of them."""
