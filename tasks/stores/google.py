"""Google's credentials of this process: those that Airflow's
connection gave it, or that a worker handed to its step.

Each of Google's clients takes credentials in forms of its own, and delta-rs takes neither impersonation nor a
token; but every one asks the metadata server of Google's machines. So a step that was handed credentials
starts such a server on loopback and leads its clients and its children there. The server is a process of its
own, since delta-rs holds the interpreter while it asks.
"""

import json
import os
import subprocess
import sys
from typing import Any

from tasks.settings import PROJECT

HANDED = "GOOGLE_CREDENTIALS_JSON"
METADATA = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")
OVERRULED = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY")

_given: list[Any] = []
_servers: list[subprocess.Popen[str]] = []


def use(credentials: Any) -> None:
    """Let this process's files go by these credentials of google-auth;
    where they are anonymous, by none.
    """
    anonymous = type(credentials).__name__ == "AnonymousCredentials"
    _given[:] = ["anon" if anonymous else credentials]


def forget() -> None:
    """Go by the environment again."""
    _given.clear()


def file_options() -> dict[str, Any]:
    """What gcsfs is told beside the environment."""
    if _given:
        return {"token": _given[0]}
    key = os.environ.get("GOOGLE_SERVICE_ACCOUNT_KEY")
    return {"token": json.loads(key)} if key else {}


def sign_in() -> None:
    """Let this process and its children reach Google by what a worker handed
    over; nothing changes where it handed over nothing.

    Has to come before the first of Google's clients is imported: they look for the metadata server then.

    Raises:
        RuntimeError: What was handed over cannot be used.
    """
    handed = os.environ.pop(HANDED, "")
    if not handed:
        return
    for name in OVERRULED:
        os.environ.pop(name, None)
    os.environ.update({**dict.fromkeys(METADATA, _start_server(handed)), "NO_GCE_CHECK": "false"})


def signed_in() -> bool:
    """Whether `sign_in` led this process, or one that started it, to a server of tokens."""
    return all(name in os.environ for name in METADATA)


def _start_server(handed: str) -> str:
    command = [sys.executable, "-m", "tasks.runtime.metadata_server"]
    server = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _servers.append(server)  # so that its input stays open as long as this process lives
    if server.stdin is None or server.stdout is None:
        raise RuntimeError("The server of access tokens has no pipes.")
    server.stdin.write(f"{json.dumps(json.loads(handed))}\n")
    server.stdin.flush()
    address = server.stdout.readline().strip()
    if not address:
        raise RuntimeError(
            "The credentials of Google that this step was handed cannot be used: the server of access tokens "
            f"ended with {server.wait()}, and what it printed is above."
        )
    return address
