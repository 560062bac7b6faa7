"""Stands in for every service behind the entrance: answers with what it was asked, word for word.

It runs in a container of its own, so it is standard Python alone.
"""

import http.server
import json
import threading
from collections.abc import Callable

PORTS = {"airflow": 8080, "mlflow": 5000, "gateway": 8000}


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = ""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is handled alike."""
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = {"service": self.service, "target": self.path, "headers": dict(self.headers.items())}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    for name, port in PORTS.items():
        handler = type(name, (Echo,), {"service": name})
        server = http.server.ThreadingHTTPServer(("", port), handler)
        threading.Thread(target=server.serve_forever).start()
    print("ready", flush=True)
