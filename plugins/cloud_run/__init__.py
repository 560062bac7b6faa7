"""A model's Cloud Run service, by the Google provider: made, given a revision, asked, and led to it.

The provider's operators make and delete services, and no more; what moves traffic here goes through its hook,
its connection and its client. Nothing of Google is imported before a task runs: that costs a second.
"""
