"""End with 0 when the gateway of this container answers: its image's health check."""

import os
import urllib.request

port = os.environ.get("PERENNIAL_GATEWAY_PORT", "8000")
urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=4).close()
