"""What a token sent is taken back: before it landed, after it landed, and while its file waits."""

TOKENS = {"shop": "a-token-of-the-shop", "bank": "a-token-of-the-bank"}
