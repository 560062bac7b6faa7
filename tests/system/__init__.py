"""Tests of the whole embedded platform, which runs while
they do and no longer: it takes a fifth of a small machine.
"""
