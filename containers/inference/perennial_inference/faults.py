"""What is answered instead of a prediction: an HTTP status and a sentence."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]

AGAIN: Headers = ((b"retry-after", b"1"),)
"""Of an answer that another try may not get."""


class Refused(Exception):
    """A request that is not answered; the message goes to the one who sent it."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
