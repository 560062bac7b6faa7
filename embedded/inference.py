"""Our own inference server as a child process of the embedded platform: its command and its environment."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "containers" / "inference"


def command(python_env: Path, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that runs the server in the foreground on loopback, and what it needs in its environment.

    It runs whether or not a model asks for it, so that one may with its next deployment; with no version
    loaded it has 33 MB and does nothing. Its workers end with it.

    Args:
        folder: Takes its store of archives, its tokens and what it unpacks; made private here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    environment = {
        "PYTHONPATH": str(SOURCE),
        "PERENNIAL_INFERENCE_HOST": "127.0.0.1",
        "PERENNIAL_INFERENCE_PORT": str(port),
        "PERENNIAL_INFERENCE_FOLDER": str(folder.resolve()),
    }
    return [str(python_env / "bin" / "python"), "-m", "perennial_inference"], environment
