"""Steps in pods of a Kubernetes cluster."""
