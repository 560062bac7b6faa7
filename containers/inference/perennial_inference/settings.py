"""The server's settings, from the environment (`PERENNIAL_INFERENCE_...`)."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class InferenceSettings:
    """Where the server listens and where its files are.

    Attributes:
        host: The address to listen on. Loopback or a private network: users' requests come by the gateway.
        store: The folder of archives, shared with the steps that deploy.
        key_file: The tokens, written at the first start and kept; the gateway and those steps read it.
        scratch: Unpacked archives; emptied at each start.
        gpus: How many GPUs the workers are spread over; 0 for none.
        queue: Requests of one version that may wait; more are answered with 503.
        most_bytes: The largest body of a request.
        start_seconds: How long a version may take to become ready.
    """

    host: str
    port: int
    store: Path
    key_file: Path
    scratch: Path
    gpus: int
    queue: int
    most_bytes: int
    start_seconds: float

    @classmethod
    def read(cls) -> "InferenceSettings":
        """From the environment; ends the program with a sentence where a variable has no such value."""
        folder = Path(_text("PERENNIAL_INFERENCE_FOLDER", "/srv/models/inference"))
        return cls(
            host=_text("PERENNIAL_INFERENCE_HOST", "127.0.0.1"),
            port=_number("PERENNIAL_INFERENCE_PORT", 8088),
            store=Path(_text("PERENNIAL_INFERENCE_STORE", str(folder / "store"))),
            key_file=Path(_text("PERENNIAL_INFERENCE_KEY_FILE", str(folder / "key_file.json"))),
            scratch=Path(_text("PERENNIAL_INFERENCE_SCRATCH", str(folder / "scratch"))),
            gpus=_number("PERENNIAL_INFERENCE_GPUS", 0),
            queue=_number("PERENNIAL_INFERENCE_QUEUE", 2000),
            most_bytes=_number("PERENNIAL_INFERENCE_MOST_BYTES", 8 * 2**20),
            start_seconds=float(_number("PERENNIAL_INFERENCE_START_SECONDS", 120)),
        )


def _text(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _number(name: str, default: int) -> int:
    text = _text(name, str(default))
    if not text.isdecimal():
        sys.exit(f"{name} is {text!r}; a whole number is expected.")
    return int(text)
