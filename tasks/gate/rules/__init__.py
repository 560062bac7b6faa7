"""The rules of the gate, one a module: plain data in, a verdict out.

`tasks.gate.decide` has their order.
"""
