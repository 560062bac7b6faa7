"""A version's records as one signed archive for auditors, and the check of one, which needs no platform."""
