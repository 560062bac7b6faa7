"""TorchServe as a child process of the embedded platform: its folder, its command, its environment."""

from pathlib import Path
from string import Template

SOURCE = Path(__file__).resolve().parent.parent / "containers" / "torchserve"


def prepare(
    folder: Path, *, inference_port: int, management_port: int, metrics_port: int, store: Path
) -> None:
    """Write the configuration into `folder` and make the store of archives.

    The folder is private: TorchServe writes its tokens there, as key_file.json, and narrows their mode only
    afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    store.mkdir(parents=True, exist_ok=True)
    template = Template((SOURCE / "config.properties").read_text(encoding="utf-8"))
    text = template.substitute(
        host="127.0.0.1",
        inference_port=inference_port,
        management_port=management_port,
        metrics_port=metrics_port,
        store=store.resolve(),
    )
    (folder / "config.properties").write_text(text, encoding="utf-8")
    (folder / "log4j2.xml").write_text((SOURCE / "log4j2.xml").read_text(encoding="utf-8"), encoding="utf-8")


def command(python_env: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command that runs TorchServe in the foreground, and what it needs in its environment.

    The process becomes the JVM itself: killing it leaves nothing behind, and it ends on SIGTERM. Its workers
    end with it.
    """
    temporary = folder.resolve() / "tmp"
    environment = {"TMPDIR": str(temporary), "TEMP": str(temporary), "OMP_NUM_THREADS": "1"}
    return [str(python_env / "bin" / "python"), str(SOURCE / "start.py"), str(folder.resolve())], environment
