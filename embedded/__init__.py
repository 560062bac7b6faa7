"""The whole platform on one machine, as supervised processes: no Docker, no database server, no cloud."""
