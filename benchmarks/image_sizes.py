"""Print the size of each image that `make images` built
last, and what all of them take on this engine together.

    python3 benchmarks/image_sizes.py

Sizes are the engine's own, unpacked, in MB of a million bytes. The images share their base, which is counted
once.
"""

import subprocess
import sys
from pathlib import Path

IDS = Path(__file__).resolve().parent.parent / ".perennial" / "images.env"
PATTERN = "{{.Size}} {{range .RootFS.Layers}}{{.}} {{end}}"


def images() -> dict[str, str]:
    """The id of each image, by its name."""
    if not IDS.exists():
        sys.exit(f"{IDS} is not there: run `make images` first.")
    lines = (line.split("=", 1) for line in IDS.read_text(encoding="utf-8").splitlines())
    return {
        key.removeprefix("PERENNIAL_").removesuffix("_IMAGE").lower(): value
        for key, value in lines
        if key.endswith("_IMAGE")
    }


def inspect(image: str) -> tuple[int, list[str]]:
    """An image's size in bytes, and the ids of its layers from the bottom."""
    command = ["docker", "image", "inspect", "--format", PATTERN, image]
    size, *layers = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(size), layers


def main() -> None:
    """A table, largest first."""
    base, base_layers = inspect("python:3.11-slim-bookworm")
    sizes = {name: inspect(image) for name, image in images().items()}
    together = base
    print("| image | size | on top of its base |\n|---|---|---|")
    for name, (size, layers) in sorted(sizes.items(), key=lambda item: -item[1][0]):
        own = size - base if layers[: len(base_layers)] == base_layers else size
        together += own
        print(f"| {name} | {size / 1e6:,.0f} MB | {own / 1e6:,.0f} MB |")
    print(f"| all together | {together / 1e6:,.0f} MB | |")


if __name__ == "__main__":
    main()
