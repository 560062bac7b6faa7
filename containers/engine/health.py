"""Whether the proxy answers, and the engine behind it: the image's health check."""

import os
import urllib.request

PORT = os.environ.get("PERENNIAL_ENGINE_PORT", "2375")

with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_ping", timeout=5) as answer:
    answer.read()
