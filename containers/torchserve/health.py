"""End with 0 when the TorchServe of this container answers
its ping, which asks for a token: its image's health check.
"""

import json
import os
import urllib.request
from pathlib import Path

port = os.environ.get("PERENNIAL_TORCHSERVE_INFERENCE_PORT", "8085")
keys = json.loads(
    Path(os.environ.get("PERENNIAL_TORCHSERVE_KEY_FILE", "/srv/models/key_file.json")).read_text(
        encoding="utf-8"
    )
)
request = urllib.request.Request(f"http://127.0.0.1:{port}/ping")
request.add_header("Authorization", f"Bearer {keys['inference']['key']}")
urllib.request.urlopen(request, timeout=4).close()  # noqa: S310 - our own address
