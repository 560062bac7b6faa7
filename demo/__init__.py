"""The demo: one model lives through training, traffic, drift and retraining, told as it happens."""
