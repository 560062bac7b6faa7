"""Become TorchServe in a container: `python serve.py`.

Configured by the environment, in the words of the steps' own settings:

    PERENNIAL_TORCHSERVE_STORE      the folder of archives, on a volume that the `deploy` steps share
    PERENNIAL_TORCHSERVE_KEY_FILE   where the tokens are written at each start, for the gateway and the
    `deploy` steps. It is
                                    named key_file.json, and its folder also takes the configuration, logs and
                                    temporary files
    PERENNIAL_TORCHSERVE_HOST       the address to listen on: every one of the container. Attach it to private
    networks only PERENNIAL_TORCHSERVE_INFERENCE_PORT, _MANAGEMENT_PORT, _METRICS_PORT    8085, 8086, 8087
"""

import os
import shutil
import sys
from pathlib import Path
from string import Template

import start

SOURCE = Path(__file__).resolve().parent
KEY_FILE = "key_file.json"


def setting(name: str, default: str) -> str:
    return os.environ.get(f"PERENNIAL_TORCHSERVE_{name}", default)


def main() -> None:
    """Write the configuration, then become the server. What it writes is readable by its own user alone."""
    os.umask(0o077)
    store, key_file = (
        Path(setting("STORE", "/srv/models/store")),
        Path(setting("KEY_FILE", f"/srv/models/{KEY_FILE}")),
    )
    if key_file.name != KEY_FILE:
        sys.exit(
            f"PERENNIAL_TORCHSERVE_KEY_FILE is {key_file}; TorchServe gives the file no other name than "
            f"{KEY_FILE}."
        )
    try:
        store.mkdir(parents=True, exist_ok=True)
        configure(key_file.parent, store)
    except OSError as error:
        sys.exit(f"TorchServe cannot write to its volume: {error}. It must belong to user {os.getuid()}.")
    start.main(key_file.parent)


def configure(folder: Path, store: Path) -> None:
    template = Template((SOURCE / "config.properties").read_text(encoding="utf-8"))
    text = template.substitute(
        host=setting("HOST", "0.0.0.0"),  # noqa: S104 - of a container
        inference_port=setting("INFERENCE_PORT", "8085"),
        management_port=setting("MANAGEMENT_PORT", "8086"),
        metrics_port=setting("METRICS_PORT", "8087"),
        store=store.resolve(),
    )
    (folder / "config.properties").write_text(text, encoding="utf-8")
    shutil.copyfile(SOURCE / "log4j2.xml", folder / "log4j2.xml")


if __name__ == "__main__":
    main()
