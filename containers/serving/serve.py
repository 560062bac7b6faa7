"""Serve the one version that this image holds: `python containers/serving/serve.py`.

Configured by the environment:

    PERENNIAL_INFERENCE_TOKEN   what a request must bear (`Authorization: Bearer ...`); at least 16 characters
    PORT                        where to listen; 8080

Nobody loads another version here: the token of the management is drawn at each start, and told to no one.
"""

import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

STORE = Path(__file__).resolve().parent.parent.parent / "model" / "store"
FEWEST_CHARACTERS = 16


def main() -> None:
    """Write the tokens, then become the server."""
    token = os.environ.get("PERENNIAL_INFERENCE_TOKEN", "")
    if len(token) < FEWEST_CHARACTERS:
        sys.exit(
            f"Set PERENNIAL_INFERENCE_TOKEN to at least {FEWEST_CHARACTERS} random characters "
            "(`openssl rand -hex 24`): whoever asks this model has to send it."
        )
    private = Path(tempfile.mkdtemp(prefix="perennial-"))
    keys = {"inference": {"key": token}, "management": {"key": secrets.token_urlsafe(32)}}
    key_file = private / "key_file.json"
    key_file.touch(mode=0o600)
    key_file.write_text(json.dumps(keys), encoding="utf-8")
    os.environ |= {
        "PERENNIAL_INFERENCE_PORT": os.environ.get("PORT", "8080"),
        "PERENNIAL_INFERENCE_STORE": str(STORE),
        "PERENNIAL_INFERENCE_KEY_FILE": str(key_file),
        "PERENNIAL_INFERENCE_SCRATCH": str(private / "scratch"),
    }
    os.execv(sys.executable, [sys.executable, "-m", "perennial_inference"])  # noqa: S606


if __name__ == "__main__":
    main()
