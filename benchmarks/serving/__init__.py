"""The parts of benchmarks/serving.py: the model, the contenders, the load, and the goals."""
