"""A model's serving image on Cloud Run: which revision, whether the traffic moves to it, and what was before.

What is decided is decided and written here; plugins/cloud_run asks Google.
"""
