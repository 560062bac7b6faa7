"""Hand out access tokens as the metadata server of Google's
machines does: `python -m tasks.runtime.metadata_server`.

Reads credentials as one line of JSON from its input, prints its address, and ends when its input is closed,
so with the process that started it. It answers on loopback, below a path that nobody can guess, and renews
what it hands out.

Source: https://cloud.google.com/compute/docs/metadata, and what google-auth and delta-rs ask of it.
"""

import json
import os
import secrets
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import google.auth.transport.requests
from google.auth import impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
LIFETIME_SECONDS = 3600
ACCOUNT = "/instance/service-accounts/"
Document = dict[str, Any]


def credentials_of(info: Document) -> Credentials:
    """Credentials from their JSON.

    Args:
        info: Google's own form of a service account's key, of a user's login or of an impersonation of one of
            these; or a token, `{"access_token": ..., "expires_at": <Unix time>}`.

    Raises:
        ValueError: It is none of these, or not whole.
    """
    if "access_token" in info:
        expiry = datetime.fromtimestamp(info["expires_at"], UTC).replace(tzinfo=None)
        return oauth2.Credentials(info["access_token"], expiry=expiry)
    if info.get("type") == "service_account":
        return service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
    if info.get("type") == "authorized_user":
        return oauth2.Credentials.from_authorized_user_info(info, scopes=SCOPES)
    if info.get("type") == "impersonated_service_account":
        url = info["service_account_impersonation_url"]
        return impersonated_credentials.Credentials(
            credentials_of(info["source_credentials"]),
            target_principal=url.rpartition("/")[2].partition(":")[0],
            target_scopes=list(SCOPES),
            delegates=info.get("delegates"),
            lifetime=LIFETIME_SECONDS,
            iam_endpoint_override=url,
        )
    raise ValueError(f"Credentials of the type {info.get('type')!r} are not known.")


class Tokens:
    """Access tokens that are renewed when they are about to end."""

    def __init__(self, credentials: Credentials, project: str = "") -> None:
        self.project = project
        self._credentials = credentials
        self._lock = threading.Lock()

    def current(self) -> Document:
        """The token, as the metadata server writes it.

        Raises:
            GoogleAuthError: It has ended and cannot be renewed.
        """
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(google.auth.transport.requests.Request())
            token, expiry = self._credentials.token, self._credentials.expiry
        left = (
            (expiry - datetime.now(UTC).replace(tzinfo=None)).total_seconds() if expiry else LIFETIME_SECONDS
        )
        return {"access_token": token, "expires_in": max(int(left), 1), "token_type": "Bearer"}


class Handler(BaseHTTPRequestHandler):
    """Answers whoever knows the path."""

    def __init__(self, tokens: Tokens, root: str, *arguments: Any) -> None:
        self._tokens, self._root = tokens, root
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not path.startswith(self._root):
            self._send(404, "There is nothing here.")
            return
        try:
            self._answer(path.removeprefix(self._root).removeprefix("/computeMetadata/v1"))
        except GoogleAuthError as error:
            self._send(401, f"Unauthorized: no access token can be had: {error}")

    def _answer(self, path: str) -> None:
        if path.startswith(ACCOUNT) and path.endswith("/token"):
            self._send(200, json.dumps(self._tokens.current()), "application/json")
        elif path.startswith(ACCOUNT) and path.endswith("/"):
            account = {"email": "default", "aliases": ["default"], "scopes": list(SCOPES)}
            self._send(200, json.dumps(account), "application/json")
        elif path == "/project/project-id" and self._tokens.project:
            self._send(200, self._tokens.project)
        else:
            self._send(404 if path.strip("/") else 200, "")

    def _send(self, status: int, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Metadata-Flavor": "Google",
            "Content-Type": kind,
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the path is a secret, and the step's log is read by many."""


class Server(ThreadingHTTPServer):
    """Bound to a free port of loopback; `address` is what clients are led to, with the secret path."""

    daemon_threads = True

    def __init__(self, tokens: Tokens) -> None:
        root = f"/{secrets.token_hex(16)}"
        super().__init__(("127.0.0.1", 0), partial(Handler, tokens, root))
        self.address = f"127.0.0.1:{self.server_port}{root}"


def main() -> None:
    info = json.loads(sys.stdin.readline())
    project = str(info.get("project_id") or os.environ.get("GOOGLE_CLOUD_PROJECT", ""))
    server = Server(Tokens(credentials_of(info), project))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
