"""What Schemathesis does not know by itself: a body that has a JSON document in each line."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode()
