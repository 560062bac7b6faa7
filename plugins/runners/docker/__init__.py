"""Steps in containers of a Docker engine."""
