"""A model's serving image on Cloud Run: which revision, whether the traffic moves to it, and where it was before.

What is decided is decided and written here; plugins/cloud_run asks Google.
"""
