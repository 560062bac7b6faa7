"""Keep the TensorBoard logs of a training with its MLflow run, and draw their scalars as its curves.

Each event file that the program writes becomes an artifact, copied again as it grows, and each of its
scalars a metric `tensorboard/<tag>`. So the curves are live on MLflow's pages, where everything else of
the run is, behind the same login; a TensorBoard server for each run would be one more service with
neither. What only TensorBoard shows (histograms, images, graphs) is in the artifacts, for `tensorboard
--logdir` on a copy of them.
"""

import errno
import os
import re
import stat
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from tasks.evaluation.preparation.kept_code import EVENT_FILE
from tasks.training.event_file import NoEventFile, Scalar, read_scalars

FOLDER = "tensorboard"
GROWN = 1.25
"""A file is copied again when it has grown by a quarter: all copies together are five times the last."""
LARGEST_LIVE = 64 << 20
"""A larger file is kept at the end alone: its copy would take the room that the training writes into."""
MOST_IN_A_LOOK = 10_000
IN_A_BATCH = 1000
"""As many metrics as MLflow takes in one request."""
POINTS = 2000
"""After so many points of a curve every second one is drawn, after as many again every fourth, and so on."""
NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]", re.ASCII)
LONGEST_NAME = 250
END_OF_TIME = 2**63
"""MLflow keeps milliseconds since 1970 in 64 bits, and refuses a whole batch for one time before or after."""


@dataclass
class EventFile:
    """An event file, and how much of it was read and copied, in bytes.

    Attributes:
        place: Where it lies below the folder in which it was found.
        root: The folder there of the first that was found, from which the others' are named.
        fault: Why it is none and is only copied.
    """

    path: Path
    place: PurePosixPath
    root: PurePosixPath
    read: int = 0
    copied: int = 0
    fault: str | None = None


@dataclass
class Curve:
    """Which points of a curve are drawn, and the last that was not."""

    drawn: int = 0
    passed: int = 0
    left_out: Scalar | None = None

    def takes(self, point: Scalar) -> bool:
        """Whether the next point is drawn."""
        taken = self.passed % (1 << (self.drawn // POINTS)) == 0
        self.passed += 1
        self.drawn += taken
        self.left_out = None if taken else point
        return taken


@dataclass
class Curves:
    """The event files that a training writes below some folders, and what of them its run has.

    Attributes:
        places: The folders. What is there already is another training's.
    """

    client: Any
    run_id: str
    places: Sequence[Path]
    files: dict[Path, EventFile] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    roots: dict[Path, PurePosixPath] = field(default_factory=dict)
    before: frozenset[Path] = frozenset()

    def __post_init__(self) -> None:
        self.before = frozenset(path for _, path in self._there())

    def look(self, *, last: bool = False) -> None:
        """Bring the run up to what is written now.

        Args:
            last: Nothing more will be written: each file is copied whole, and each curve has its last point.

        Raises:
            MlflowException, OSError: The run cannot be written to; what was not is taken at the next look.
        """
        for place, path in self._there():
            if path not in self.before and path not in self.files:
                within = PurePosixPath(path.relative_to(place).as_posix())
                self.files[path] = EventFile(path, within, self.roots.setdefault(place, within.parent))
        for file in self.files.values():
            while self._draw(file) and last:
                pass
            self._copy(file, whole=last)
        if last:
            self._log([(name, curve.left_out) for name, curve in self.curves.items() if curve.left_out])

    def _there(self) -> Iterator[tuple[Path, Path]]:
        """The event files below the folders. What a link leads to was not written by this training."""
        for place in self.places:
            for folder, _, names in os.walk(place):
                for path in (Path(folder, name) for name in sorted(names) if EVENT_FILE in name):
                    if path.is_file() and not path.is_symlink():
                        yield place, path

    def _draw(self, file: EventFile) -> bool:
        """Log the next scalars of a file; says whether there were any."""
        if file.fault is not None:
            return False
        opened = _opened(file.path)
        if opened is None:
            return False
        try:
            with opened:
                scalars, end = read_scalars(opened, file.read, most=MOST_IN_A_LOOK)
        except (NoEventFile, struct.error) as error:
            file.fault = str(error)
            print(f"{file.place} is kept, but its curves are not drawn: {error}.\n", end="", flush=True)
            return False
        named = [
            (self._name(file, scalar), scalar)
            for scalar in scalars
            if 0 <= scalar.wall_seconds * 1000 < END_OF_TIME  # which no NaN is
        ]
        drawn = [each for each in named if self.curves.setdefault(each[0], Curve()).takes(each[1])]
        self._log(drawn)
        file.read = end
        return bool(scalars)

    @staticmethod
    def _name(file: EventFile, scalar: Scalar) -> str:
        """`tensorboard/<folder>/<tag>`, the folder as seen from the root and left out where it is that."""
        folder = os.path.relpath(file.place.parent, file.root)
        whole = _path(NOT_IN_A_NAME.sub("_", f"{FOLDER}/{folder}/{scalar.tag}"))
        return _path(whole[:LONGEST_NAME])  # the cut may leave an end that is no name of a part

    def _log(self, points: Sequence[tuple[str, Scalar]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, point.value, round(point.wall_seconds * 1000), point.step) for name, point in points
        ]
        for start in range(0, len(metrics), IN_A_BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + IN_A_BATCH])

    def _copy(self, file: EventFile, *, whole: bool) -> None:
        """Copy a file as far as it is written: MLflow's client must not meet one that grows meanwhile."""
        content = _opened(file.path)
        if content is None:
            return
        with content:
            size = os.fstat(content.fileno()).st_size
            if size <= file.copied or (not whole and (size < file.copied * GROWN or size > LARGEST_LIVE)):
                return
            if whole:
                self._keep(file, file.path)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    copy = Path(folder, file.path.name)
                    with copy.open("wb") as target:
                        _copy_bytes(content, target, size)
                    self._keep(file, copy)
            file.copied = size

    def _keep(self, file: EventFile, copy: Path) -> None:
        self.client.log_artifact(self.run_id, str(copy), str(PurePosixPath(FOLDER, file.place.parent)))


def _opened(path: Path) -> BinaryIO | None:
    """A file that the training wrote; None where it is gone, or a link or a pipe is in its place."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            return None  # what it said is kept
        raise
    opened = os.fdopen(number, "rb")
    if stat.S_ISREG(os.fstat(number).st_mode):
        return opened
    opened.close()
    return None


def _path(name: str) -> str:
    """A name without the parts that MLflow takes in none: empty ones, `.` and `..`."""
    return "/".join(part for part in name.split("/") if part.strip(". "))


def _copy_bytes(source: Any, target: Any, size: int) -> None:
    while size > 0 and (chunk := source.read(min(size, 1 << 20))):
        target.write(chunk)
        size -= len(chunk)
