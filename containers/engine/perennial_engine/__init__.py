"""The way to the Docker engine for those who may start steps and nothing else.

Who reaches a Docker socket is root on its host. The platform's workers therefore reach this service, which
knows a few requests, forwards those that concern our own containers, and writes each to the engine anew from
what it has understood.
"""
