"""Whether a model keeps what its users are promised, and how much of each budget of faults is left."""
