"""Swift's processes, forked from one that has its code in
memory, so that they share it. When one ends, the node ends.

The proxy speaks S3; three servers keep objects, buckets and the account. The updater brings into a bucket's
listing what the servers could not at once. A pass over everything, now and then, forgets what was deleted
long ago.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import Request, urlopen

from perennial_objectstore.node import BACKENDS, InvalidSettings, Node

READY_SECONDS = 60
STOP_SECONDS = 5
TIDY_SECONDS = 6 * 3600
PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The node is asked to stop; raised by the signal."""


def serve(node: Node) -> int:
    """Run the node until it is asked to stop (0), or one of its processes ends (1)."""
    try:
        node.prepare()
    except InvalidSettings as error:
        print(f"The object store cannot start: {error}", file=sys.stderr)
        return 2
    _load(node)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    children: dict[int, str] = {}
    try:
        for name, run in _processes(node).items():
            children[_fork(run)] = name
        _make_buckets(node, children)
        node.starting.unlink()
        print(
            f"The object store answers at port {node.port}; buckets: {', '.join(node.buckets) or 'none'}.",
            flush=True,
        )
        return _first_end(children)
    except Stopped:
        return 0
    except InvalidSettings as error:
        print(f"The object store cannot start: {error}", file=sys.stderr)
        return 1
    finally:
        _end(children)


def _first_end(children: dict[int, str]) -> int:
    """Wait until one of the processes ends, which none should."""
    pid, status = os.wait()
    print(
        f"The object store's {children.pop(pid)} ended with {os.waitstatus_to_exitcode(status)}.",
        file=sys.stderr,
    )
    return 1


def _load(node: Node) -> None:
    """Import what the processes run, and let Swift read its settings where they were written."""
    import swift.proxy.server  # noqa: F401 - loaded to be shared
    from swift.common import utils
    from swift.common.storage_policy import reload_storage_policies

    utils.set_swift_dir(str(node.scratch))
    reload_storage_policies()


def _processes(node: Node) -> dict[str, Callable[[], object]]:
    from swift.common.daemon import run_daemon
    from swift.common.wsgi import run_wsgi
    from swift.obj.updater import ObjectUpdater

    def server(name: str) -> Callable[[], object]:
        return lambda: run_wsgi(str(node.settings_of(name)), f"{name}-server", verbose=True)

    objects = str(node.settings_of("object"))
    return {
        **{f"{name} server": server(name) for name in (*BACKENDS, "proxy")},
        "updater": lambda: run_daemon(ObjectUpdater, objects, section="object-updater", verbose=True),
        "tidier": lambda: _tidy(node),
    }


def _tidy(node: Node) -> None:
    """Let Swift forget deleted objects and rows.

    Each pass is a process of its own, which gives its memory back.
    """
    while True:
        time.sleep(TIDY_SECONDS)
        for server in BACKENDS:
            os.waitpid(_fork(lambda server=server: _pass(node, server)), 0)  # type: ignore[misc]


def _pass(node: Node, server: str) -> None:
    from swift.account.replicator import AccountReplicator
    from swift.common.daemon import run_daemon
    from swift.container.replicator import ContainerReplicator
    from swift.obj.replicator import ObjectReplicator

    daemons = {"account": AccountReplicator, "container": ContainerReplicator, "object": ObjectReplicator}
    run_daemon(
        daemons[server],
        str(node.settings_of(server)),
        section=f"{server}-replicator",
        once=True,
        verbose=True,
    )


def _fork(run: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        code = run()
        os._exit(code if isinstance(code, int) else 0)
    finally:
        os._exit(1)


def _make_buckets(node: Node, children: dict[int, str]) -> None:
    """Wait until the proxy answers, then make the buckets that are missing.

    Raises:
        InvalidSettings: A process ended, or the proxy does not answer.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return _put_buckets(node)
        except URLError as error:
            _require_all(children)
            if time.monotonic() > deadline:
                raise InvalidSettings(
                    f"The proxy did not answer within {READY_SECONDS} s: {error}."
                ) from error
            time.sleep(0.1)


def _put_buckets(node: Node) -> None:
    """Make the buckets by Swift's own interface, which needs no S3 client."""
    credentials = {"X-Auth-User": node.access_key, "X-Auth-Key": node.secret}
    with urlopen(Request(f"{node.url}/auth/v1.0", headers=credentials), timeout=10) as answer:  # noqa: S310 - our own address
        token, account = answer.headers["X-Auth-Token"], answer.headers["X-Storage-Url"]
    for bucket in node.buckets:
        request = Request(f"{account}/{bucket}", method="PUT", headers={"X-Auth-Token": token})  # noqa: S310
        urlopen(request, timeout=10).close()  # noqa: S310


def _require_all(children: dict[int, str]) -> None:
    for pid, name in children.items():
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            children.pop(pid)
            raise InvalidSettings(f"Its {name} ended while it started; what it said is above.")


def _stop(*_: object) -> None:
    raise Stopped


def _end(children: dict[int, str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in children:
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while children and time.monotonic() < deadline:
            for pid in [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0]]:
                del children[pid]
            time.sleep(0.02)
