"""Who may ask and who may load: one token each, in a file like TorchServe's, that the first start writes."""

import hmac
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from perennial_inference.faults import Refused

KINDS = ("management", "inference")
ASK = ((b"www-authenticate", b"Bearer"),)


class Tokens:
    """The tokens of one key file, which several servers may share.

    They are kept over restarts. Who wants new ones removes the file and starts the servers anew.
    """

    def __init__(self, path: Path) -> None:
        _make(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        self._bearers = {kind: f"Bearer {document[kind]['key']}".encode() for kind in KINDS}

    def require(self, kind: str, given: bytes) -> None:
        """Let the bearer of the token pass; that of the management may also ask.

        Raises:
            Refused: 401; the header Authorization bears another token, or none.
        """
        if given == self._bearers["inference"] and kind == "inference":
            return
        if not hmac.compare_digest(given, self._bearers["management"]):
            raise Refused(401, f"Send the header Authorization: Bearer <the {kind} token>.", ASK)


def _make(path: Path) -> None:
    """Write the file, whole and private, unless it is there: of several servers the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {kind: {"key": secrets.token_urlsafe(32)} for kind in KINDS}
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    part.touch(mode=0o600)
    part.write_text(json.dumps(document), encoding="utf-8")
    with suppress(FileExistsError):
        os.link(part, path)
    part.unlink()
