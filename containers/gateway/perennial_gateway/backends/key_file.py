"""A backend's tokens, in a file that it writes."""

import json
import os
from pathlib import Path


class KeyFile:
    """The tokens of one server.

    TorchServe writes new ones at every start, so that they are read again whenever the file has changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._inference = ""

    def inference(self) -> str:
        """The token of the inference address; the last
        known one while the file is missing or half written.
        """
        try:
            stat = os.stat(self._path)  # noqa: PTH116 - on every request; a Path costs five times as much
            if (seen := (stat.st_mtime_ns, stat.st_ino)) != self._seen:
                self._inference = json.loads(self._path.read_text(encoding="utf-8"))["inference"]["key"]
                self._seen = seen
        except (OSError, ValueError, KeyError):
            self._seen = None
        return self._inference
