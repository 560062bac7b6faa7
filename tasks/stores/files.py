"""Files of the store, by URL: a local folder, or an object store (`s3://`, `gs://`) by the same interface.

What differs is hidden here. In a folder, a file appears whole by being written beside its name and renamed;
an object is there whole or not at all. In a folder, a file moves in one step; an object is copied, then
deleted, so that for a moment, or for good where the mover was killed, it is in both places. Listings are
never remembered: other processes write too.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from upath import UPath

from tasks.errors import StoreRefused
from tasks.stores import google
from tasks.stores.faults import has_cause

State = tuple[Any, ...]
"""What changes when a file does: of a local one size, time and inode, of an object size, time and tags."""

LOCAL = {"", "file", "local"}
NAME_BYTES = 255
"""How long a name file systems hold."""
RENAME_NOREPLACE = 1
NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
GOOGLE = ("gs://", "gcs://")


class FileChanged(Exception):
    """A file is no longer what its mover had seen; raised by `move`, which leaves it where it was."""


@dataclass(frozen=True)
class Entry:
    """What lies in a folder."""

    name: str
    is_file: bool
    state: State


def at(url: str, *parts: str) -> UPath:
    """The place `parts` below `url`."""
    protocol = UPath(url).protocol
    options: dict[str, Any] = {} if protocol in LOCAL else {"use_listings_cache": False}
    if url.startswith(GOOGLE):
        options |= google.file_options()
    place: UPath = UPath(url, **options).joinpath(*parts)
    return place


def is_local(path: UPath) -> bool:
    return path.protocol in LOCAL


def entries(folder: UPath) -> list[Entry]:
    """Everything that lies in a folder, in no order; nothing where the folder is missing.

    Raises:
        StoreRefused: The bucket is missing.
        NotADirectoryError: A file lies in the folder's place.
    """
    if is_local(folder):
        return _local_entries(Path(folder.path))
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError as error:
        _require_bucket(folder, error)
        return []
    place = folder.path.rstrip("/")
    # An object of the folder's own name with a slash is how consoles make a folder.
    listed = [(info["name"].rstrip("/"), info) for info in found if info["name"].rstrip("/") != place]
    return [Entry(name.rpartition("/")[2], info["type"] == "file", _state(info)) for name, info in listed]


def make_parent(path: UPath) -> None:
    """Make the folder that `path` will lie in.

    An object needs none; to ask for one would make a missing bucket.
    """
    if is_local(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def write_text(url: str, *parts: str, text: str) -> str:
    """Write a file, whole or not at all, and return its URL."""
    path = at(url, *parts)
    write_whole(path, text.encode())
    return str(path)


def write_whole(path: UPath, data: bytes, *, durable: bool = False) -> None:
    """Write a file so that it is there whole or not at all; a durable one also where the power is lost."""
    if not is_local(path):
        path.fs.pipe_file(path.path, data)
        return
    make_parent(path)
    with (part := _beside(path)).open("wb") as file:
        file.write(data)
        if durable:  # else a rename may reach the disk before what it names
            file.flush()
            os.fsync(file.fileno())
    part.replace(path.path)


def create_whole(path: UPath, data: bytes) -> None:
    """Write a file that appears whole, and only where there
    is none: of several who do so at once, one succeeds.

    `data` has to be the writer's own, for example by a random number in it: when the answer to a writer is
    lost and its request is sent again, it meets its own file.

    Raises:
        FileExistsError: There is one.
    """
    make_parent(path)
    if not is_local(path):
        _create_object(path, data)
        return
    part = _beside(path)
    part.write_bytes(data)
    try:
        Path(path.path).hardlink_to(part)
    finally:
        part.unlink()


def put(source: Path, path: UPath) -> str:
    """Copy a local file into the store, where it appears whole, and return its URL."""
    if not is_local(path):
        path.fs.put_file(str(source), path.path)
        return str(path)
    make_parent(path)
    shutil.copyfile(source, part := _beside(path))
    part.replace(path.path)
    return str(path)


def state_of(path: UPath) -> State | None:
    """The state of a file; None where there is none, or a link.

    Who lands a link may not be allowed to read what it leads to, and to move it keeps nothing of that.
    """
    try:
        if not is_local(path):
            return _state(path.fs.info(path.path))
        status = Path(path.path).lstat()
    except FileNotFoundError:
        return None
    return None if stat.S_ISLNK(status.st_mode) else _status(status)


def size_of(state: State) -> int:
    """The size of a file, in bytes, as its state has it."""
    return int(state[0])


def is_being_written(path: UPath) -> bool:
    """Whether some process of this machine has a local file open for writing.

    False also where that cannot be found out: objects, which appear whole, network file systems, files of
    other users, other systems than Linux.
    """
    if not is_local(path) or not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path.path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # The kernel grants a lease only while nobody writes. It is given back at once; whoever opens the file
        # just then waits for that, and we are told by a signal: one of which nobody dies.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def move(source: UPath, target: UPath, seen: State) -> None:
    """Move a file that is as it was seen, onto a name that is free.

    On an object store by a copy and a delete, so that it is never nowhere.

    Raises:
        FileNotFoundError: There is none, or another mover took it meanwhile.
        FileExistsError: The name is taken.
        FileChanged: It is another file by now, or was written to.
    """
    require_unchanged(source, seen)
    make_parent(target)
    if is_local(source):
        _rename(Path(source.path), Path(target.path))
        if _status(Path(target.path).stat()) != seen:
            _rename_back(Path(target.path), Path(source.path))
            raise FileChanged(str(source))
        return
    if target.exists():
        raise FileExistsError(str(target))
    source.fs.cp_file(source.path, target.path)
    require_unchanged(source, seen)
    source.fs.rm_file(source.path)


def remove(path: UPath) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def fetch(url: str, to: Path) -> Path:
    """Copy a file of the store to the local path `to`."""
    to.parent.mkdir(parents=True, exist_ok=True)
    source = at(url)
    source.fs.get_file(source.path, str(to))
    return to


def sha256(url: str) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with at(url).open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def require_one_creator(url: str) -> None:
    """Try whether the store lets an object be created twice.
    Where it does, two writers of a table would lose rows.

    Raises:
        StoreRefused: It does.
    """
    probe = at(url, f".probe-{uuid4().hex}")
    if is_local(probe):
        return
    try:
        create_whole(probe, b"first")
        create_whole(probe, b"second")
    except FileExistsError:
        return
    finally:
        remove(probe)
    raise StoreRefused(
        f"The object store of {url} does not honour `If-None-Match: *`: it let one object be created twice, "
        "so two writers of a table would overwrite each other's rows. Use a store that does (AWS S3, Google "
        "Cloud Storage, MinIO, Cloudflare R2, Ceph from Squid on, or the `objectstore` service of "
        "docker-compose.yaml).",
        url=url,
    )


def _create_object(path: UPath, data: bytes) -> None:
    again = Retrying(
        retry=retry_if_exception(lambda error: has_cause(error, "ConditionalRequestConflict")),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(10),
        reraise=True,
    )
    try:
        again(path.fs.pipe_file, path.path, data, mode="create")
    except OSError as error:
        if not (isinstance(error, FileExistsError) or has_cause(error, "PreconditionFailed")):
            raise
        if path.read_bytes() != data:
            raise FileExistsError(str(path)) from error


def _local_entries(folder: Path) -> list[Entry]:
    if not folder.exists():
        return []
    found = []
    for path in folder.iterdir():
        try:
            status = path.lstat()
        except FileNotFoundError:  # moved away meanwhile
            continue
        found.append(Entry(path.name, stat.S_ISREG(status.st_mode), _status(status)))
    return found


def _status(status: os.stat_result) -> State:
    return status.st_size, status.st_mtime_ns, status.st_ino


def require_unchanged(path: UPath, seen: State) -> None:
    found = state_of(path)
    if found is None:
        raise FileNotFoundError(str(path))
    if found != seen:
        raise FileChanged(str(path))


def _rename(source: Path, target: Path) -> None:
    """Rename in one step, and never onto a file that is there, where the file system can promise both."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        at_cwd = -100
        if libc.renameat2(at_cwd, os.fsencode(source), at_cwd, os.fsencode(target), RENAME_NOREPLACE) == 0:
            return
        fault = ctypes.get_errno()
        if fault not in NOT_HERE:
            raise OSError(fault, os.strerror(fault), str(source), None, str(target))
    if target.exists():
        raise FileExistsError(str(target))
    source.rename(target)


def _rename_back(moved: Path, source: Path) -> None:
    """Undo a rename; where a new file has taken the old name, the file comes back beside it."""
    try:
        _rename(moved, source)
    except FileExistsError:
        mark = f"{uuid4().hex[:8]}-"
        kept = os.fsencode(source.name)[-(NAME_BYTES - len(mark)) :].decode(errors="ignore")
        _rename(moved, source.with_name(f"{mark}{kept}"))


def _state(info: dict[str, Any]) -> State:
    tags = (str(info.get(key)) for key in ("ETag", "LastModified", "generation", "mtime"))
    return int(info.get("size") or 0), *tags


def _require_bucket(folder: UPath, error: Exception) -> None:
    bucket = folder.path.partition("/")[0]
    if not folder.fs.exists(bucket):
        raise StoreRefused(
            f"There is no bucket {bucket!r}, but {folder} is set as a place of the store. Create it, or "
            "correct PERENNIAL_STORE_URL.",
            url=str(folder),
        ) from error


def _beside(path: UPath) -> Path:
    return Path(path.path).with_name(f".{uuid4().hex}.part")
