"""The gateway as a child process of the embedded platform: its command and its environment."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "containers" / "gateway"


def command(
    python_env: Path,
    *,
    port: int,
    token: str,
    database_url: str,
    torchserve_url: str,
    torchserve_key_file: Path,
    prediction_tokens: str = "",
) -> tuple[list[str], dict[str, str]]:
    """The command that runs the gateway in the foreground on loopback, and what it needs in its environment.

    Args:
        token: What internal requests must bear; the steps know it as `settings().gateway_token`.
        database_url: SQLAlchemy URL of routes, predictions and labels; `sqlite:///<file>`, whose folder must
            exist.
        torchserve_url: TorchServe's inference address.
        prediction_tokens: Who may ask and send labels, `name=token`, comma-separated; empty for everybody on
            this machine.
    """
    environment = {
        "PYTHONPATH": str(SOURCE),
        "PERENNIAL_GATEWAY_HOST": "127.0.0.1",
        "PERENNIAL_GATEWAY_PORT": str(port),
        "PERENNIAL_GATEWAY_TOKEN": token,
        "PERENNIAL_PREDICTION_TOKENS": prediction_tokens,
        "PERENNIAL_GATEWAY_DATABASE_URL": database_url,
        "PERENNIAL_TORCHSERVE_INFERENCE_URL": torchserve_url,
        "PERENNIAL_TORCHSERVE_KEY_FILE": str(torchserve_key_file),
    }
    return [str(python_env / "bin" / "python"), "-m", "perennial_gateway"], environment
