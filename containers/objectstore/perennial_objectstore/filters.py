"""Two filters in front of Swift's proxy.

Both rest on there being one proxy process, which is what a single node runs.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from cachetools import TTLCache

App = Callable[[dict[str, Any], Any], Iterable[bytes]]
WRITES = {"PUT", "POST", "DELETE"}


class OneWriter:
    """Lets one write of a name follow the other, so that of those who create an object at once only one does.

    Swift looks whether an object exists when a PUT begins and puts it in place when it ends: of several that
    overlap, each would be told that it created the object. Delta tables would lose commits by that.
    """

    def __init__(self, app: App) -> None:
        from swift.common.concurrency import Semaphore

        self._app = app
        self._semaphore = Semaphore
        self._turns: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def __call__(self, env: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if env["REQUEST_METHOD"] not in WRITES:
            return self._app(env, start_response)
        turn = self._turns.setdefault(env["PATH_INFO"], self._semaphore())
        with turn:
            return self._app(env, start_response)


class Memory:
    """What Swift keeps in memcached (that an account and a bucket exist, tokens), in this process."""

    def __init__(self, seconds: float = 30) -> None:
        self._kept: TTLCache[str, str] = TTLCache(1000, seconds)

    def get(self, key: str, **_: Any) -> Any:
        kept = self._kept.get(key)
        return None if kept is None else json.loads(kept)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._kept[key] = json.dumps(value)  # as memcached does: nobody changes what is kept

    def delete(self, key: str, **_: Any) -> None:
        self._kept.pop(key, None)


def one_writer(_: dict[str, str], **__: str) -> Callable[[App], App]:
    """PasteDeploy's factory."""
    return OneWriter


def memory(_: dict[str, str], **__: str) -> Callable[[App], App]:
    """PasteDeploy's factory."""
    cache = Memory()

    def add(app: App) -> App:
        def remembering(env: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            env["swift.cache"] = cache
            return app(env, start_response)

        return remembering

    return add
