"""A small server of our own: it speaks the Open Inference Protocol v2 and loads the archives of TorchServe.

The process that listens imports no model and no torch: each worker of a version is a process of its own, so
that a model which crashes, hangs or grows takes nothing with it. A request's body goes to the worker as it
came, several together under load, and comes back as the answer's body; JSON is read and written there.
"""
