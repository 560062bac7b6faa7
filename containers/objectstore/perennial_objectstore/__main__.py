"""`python -m perennial_objectstore` runs the node until it
is told to stop; `... check` says whether it is healthy.
"""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

from perennial_objectstore.node import InvalidSettings, Node


def check(node: Node) -> int:
    """0 when the node answers and its buckets are there."""
    try:
        with urlopen(f"{node.url}/healthcheck", timeout=5):  # noqa: S310 - our own address
            return 0
    except URLError as error:
        print(f"The object store at {node.url} is not healthy: {error}", file=sys.stderr)
        return 1


def main() -> int:
    try:
        node = Node.of(os.environ)
    except InvalidSettings as error:
        print(f"The object store cannot start: {error}", file=sys.stderr)
        return 2
    if sys.argv[1:] == ["check"]:
        return check(node)
    from perennial_objectstore import servers

    return servers.serve(node)


if __name__ == "__main__":
    sys.exit(main())
