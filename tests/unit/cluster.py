"""A stand-in for a Kubernetes API server and its one node, for tests: no cluster can be had where they run.

It speaks the part of the API that the runner uses, to the real Kubernetes client, and holds every pod against
Kubernetes' own schema. Its node runs a Python program of the test's own in place of the container, with the
pod's command line and environment. What it does not show is what a cluster makes of the pod beyond that: its
images, limits, network and security.
"""

import itertools
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import kubernetes_validate

API = "/api/v1/namespaces/"
Document = dict[str, Any]
NEWEST = kubernetes_validate.latest_version()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refusal(Exception):
    """An answer that is an error: a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """What is in the cluster, and what it does.

    Attributes:
        program: What a container runs.
        pods: The manifests with their status, by name.
        created: Each manifest that was accepted, as it came.
        requests: Each request, `METHOD /path`.
        has_gpus: Whether the node has any.
        fail: Gives a refusal for a request, to break something on purpose; None lets it pass.
        finish: What to make of the status when the container has ended.
        never_starts: A waiting state that the container stays in.
        deletion_seconds: How long a pod that is deleted stays.
        cut_logs_after: Lines after which a stream of the log breaks.
    """

    def __init__(self) -> None:
        self.program = "print('hello')"
        self.pods: dict[str, Document] = {}
        self.created: list[Document] = []
        self.requests: list[str] = []
        self.has_gpus = True
        self.fail: Callable[[str, str], Refusal | None] = lambda _method, _path: None
        self.finish: Callable[[Document], None] = lambda _status: None
        self.never_starts: Document | None = None
        self.deletion_seconds = 0.0
        self.cut_logs_after = sys.maxsize
        self._logs: dict[str, list[tuple[str, str]]] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._lock = threading.RLock()

    # --- the API --------------------------------------------------------------------------------------------

    def create(self, body: Document) -> Document:
        kubernetes_validate.validate(body, NEWEST, strict=True)
        name = body["metadata"]["name"]
        with self._lock:
            if name in self.pods:
                raise Refusal(409, f'pods "{name}" already exists')
            self.created.append(deepcopy(body))
            body["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
            gated = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked",
            }
            body["status"] = {"phase": "Pending", "conditions": [gated]}
            self.pods[name] = body
        return body

    def read(self, name: str) -> Document:
        with self._lock:
            if name not in self.pods:
                raise Refusal(404, f'pods "{name}" not found')
            return deepcopy(self.pods[name])

    def find(self, selector: str) -> Document:
        wanted = dict(part.split("=") for part in selector.split(",")) if selector else {}
        with self._lock:
            found = [pod for pod in self.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
            return {"apiVersion": "v1", "kind": "PodList", "items": deepcopy(found)}

    def patch(self, name: str, operations: list[Document]) -> Document:
        with self._lock:
            self.read(name)
            pod = self.pods[name]
            for operation in operations:
                if operation["op"] == "test" and operation["value"] != pod["metadata"]["uid"]:
                    raise Refusal(422, "the test of the patch failed")
                if operation["op"] == "remove" and operation["path"] == "/spec/schedulingGates":
                    if pod["spec"].pop("schedulingGates", None) is None:
                        raise Refusal(422, "there is nothing to remove")
                    self._schedule(name)
        return self.read(name)

    def delete(self, name: str, options: Document) -> Document:
        with self._lock:
            pod = self.read(name)
            wanted = (options.get("preconditions") or {}).get("uid")
            if wanted not in {None, pod["metadata"]["uid"]}:
                raise Refusal(409, "the UID in the precondition does not match the UID in record")
            self.pods[name]["metadata"]["deletionTimestamp"] = now()
        uid = pod["metadata"]["uid"]
        if uid in self._processes:
            self._processes[uid].kill()
        threading.Timer(self.deletion_seconds, self._forget, (name, uid)).start()
        return pod

    def log(self, name: str) -> Iterator[bytes]:
        uid = self.read(name)["metadata"]["uid"]
        if uid not in self._logs:
            raise Refusal(400, f'container "base" in pod "{name}" is waiting to start: ContainerCreating')
        sent = 0
        while True:
            over = not any(thread.name == uid for thread in threading.enumerate())
            lines = self._logs[uid][sent : self.cut_logs_after]
            for at, line in lines:
                yield f"{at} {line}\n".encode()
            sent += len(lines)
            if sent >= self.cut_logs_after or (over and not lines):
                return
            time.sleep(0.01)

    # --- the node -------------------------------------------------------------------------------------------

    def _schedule(self, name: str) -> None:
        pod = self.pods[name]
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        if "nvidia.com/gpu" in limits and not self.has_gpus:
            message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
            pod["status"]["conditions"][0] |= {"reason": "Unschedulable", "message": message}
            return
        pod["status"]["conditions"][0] = {"type": "PodScheduled", "status": "True"}
        pod["spec"]["nodeName"] = "node"
        if self.never_starts:
            self._set(pod, {"waiting": self.never_starts})
        else:
            threading.Thread(target=self._run, args=(pod,), name=pod["metadata"]["uid"], daemon=True).start()

    def _run(self, pod: Document) -> None:
        container, uid = pod["spec"]["containers"][0], pod["metadata"]["uid"]
        given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        secret = {
            one["name"]: f"from {one['valueFrom']['secretKeyRef']['name']}"
            for one in container["env"]
            if "valueFrom" in one
        }
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", self.program, *container["command"]],
            env={"PATH": "/usr/bin:/bin", **given, **secret},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with self._lock:
            self._processes[uid], self._logs[uid] = process, []
            pod["status"]["phase"] = "Running"
            self._set(pod, {"running": {"startedAt": now()}})
        for line in process.stdout:
            self._logs[uid].append((f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z", line.removesuffix("\n")))
        code = process.wait()
        with self._lock:
            ended = {
                "exitCode": code if code >= 0 else 128 - code,
                "reason": "Error" if code else "Completed",
                "finishedAt": now(),
            }
            self._set(pod, {"terminated": ended})
            pod["status"]["phase"] = "Failed" if code else "Succeeded"
            self.finish(pod["status"])

    def _set(self, pod: Document, state: Document) -> None:
        one = {
            "name": "base",
            "image": "x",
            "imageID": "x",
            "ready": False,
            "restartCount": 0,
            "state": state,
        }
        pod["status"]["containerStatuses"] = [one]

    def _forget(self, name: str, uid: str) -> None:
        with self._lock:
            if name in self.pods and self.pods[name]["metadata"]["uid"] == uid:
                del self.pods[name]

    def lose(self, name: str) -> None:
        """The node is gone, and the cluster forgets its pod."""
        uid = self.read(name)["metadata"]["uid"]
        self._forget(name, uid)
        self._processes[uid].kill()

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()


class Handler(BaseHTTPRequestHandler):
    """Takes the client's requests to the cluster."""

    protocol_version = "HTTP/1.1"

    def __init__(self, cluster: Cluster, *arguments: Any) -> None:
        self.cluster = cluster
        super().__init__(*arguments)

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.cluster.requests.append(f"{self.command} {url.path}")
        try:
            if refusal := self.cluster.fail(self.command, url.path):
                raise refusal
            self._answer(url.path.removeprefix(API).split("/"), dict(parse_qsl(url.query)), body)
        except Refusal as refusal:
            self._send(refusal.status, {"kind": "Status", "message": str(refusal), "code": refusal.status})

    do_GET = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815

    def _answer(self, path: list[str], query: dict[str, str], body: Any) -> None:
        match [self.command, *path[1:]]:
            case ["POST", "pods"]:
                self._send(201, self.cluster.create(body))
            case ["GET", "pods"]:
                self._send(200, self.cluster.find(query.get("labelSelector", "")))
            case ["GET", "pods", name]:
                self._send(200, self.cluster.read(name))
            case ["PATCH", "pods", name]:
                self._send(200, self.cluster.patch(name, body))
            case ["DELETE", "pods", name]:
                self._send(200, self.cluster.delete(name, body))
            case ["GET", "pods", name, "log"]:
                self._stream(self.cluster.log(name))
            case _:
                raise Refusal(404, "the server could not find the requested resource")

    def _send(self, status: int, document: Document) -> None:
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, lines: Iterator[bytes]) -> None:
        first = list(itertools.islice(lines, 1))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):
            for line in itertools.chain(first, lines):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextmanager
def running_cluster(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """The cluster, and the kubeconfig that leads to it."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, cluster))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "test", "user": {"token": "x"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    try:
        yield cluster, file
    finally:
        cluster.close()
        server.shutdown()
        server.server_close()
