"""What people want to know of models at a glance, gathered from the ledger as plain frozen data.

It is asked for by pages, so it reads little, and needs none of the heavy libraries. Only `look` reads.
"""
