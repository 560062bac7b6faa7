"""A server in TorchServe's place whose versions answer as they are told to, and routes to them."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answering = Callable[[dict[str, Any]], Any]
"""The answer to an instance: JSON, or a status."""

STEPS = {"Authorization": "Bearer a token of the steps"}


class Models:
    """The versions by name, and how often each was asked."""

    def __init__(self) -> None:
        self.versions: dict[str, Answering] = {}
        self.asked: Counter[str] = Counter()
        self.url = ""

    def add(self, version: str, prediction: Any, *, seconds: float = 0) -> None:
        def answer(_instance: dict[str, Any]) -> Any:
            time.sleep(seconds)
            return prediction if isinstance(prediction, dict) else {"prediction": prediction, "score": 0.5}

        self.versions[version] = answer


def _missing(_instance: dict[str, Any]) -> Any:
    return {"status": 404, "message": "Model version is not found."}


@contextmanager
def serving() -> Iterator[Models]:
    """Answer as TorchServe does, on a free port, until the block ends."""
    models = Models()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            version = self.path.rpartition("/")[2]
            instance = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            models.asked[version] += 1
            answer = models.versions.get(version, _missing)(instance)
            body = json.dumps(answer).encode()
            self.send_response(answer.get("status", 200))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # of five, the connections of one request would wait for seconds

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    models.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield models
    finally:
        server.shutdown()
        server.server_close()


def route(version: str, **changes: Any) -> dict[str, Any]:
    """A route of the model `m` to a version that `Models` has."""
    return {
        "model": "m",
        "model_version": version,
        "run_id": f"run-{version}",
        "backend_version": version,
        "archive_sha256": version * 8,
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "label_schema": {"type": "integer"},
        "timeout_seconds": 2,
        **changes,
    }


def split(version: str, **changes: Any) -> dict[str, Any]:
    """A split whose candidate is a version that `Models` has."""
    return {"release_id": "r1", "kind": "canary", "candidate": route(version), **changes}
