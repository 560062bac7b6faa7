"""The page for who asks a model without a program: a form, the answer, and why it came out so."""
