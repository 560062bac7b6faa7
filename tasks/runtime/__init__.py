"""The process, machine and code that a step runs with."""
