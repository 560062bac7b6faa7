"""See whether the version of this image answers as it was judged: `python containers/serving/accept.py`.

Run in the container itself, with its own environment. Ends with 0 where the server is healthy and the example
is answered with what the archive answered when it was judged, else with 1 and a sentence.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from differences import differences  # of tasks/release, beside this file in the image

VERSION = Path(__file__).resolve().parent.parent.parent / "model" / "version.json"
READY_SECONDS = 120
ANSWER_SECONDS = 30.0
ANSWER = "answer"
"""The output in which our server gives the whole answer as JSON."""


def main() -> None:
    """Wait until the server is ready, ask the example, and compare."""
    told = json.loads(VERSION.read_text(encoding="utf-8"))
    wait_until_ready()
    path = f"/v2/models/{told['model']}/versions/{told['version']}"
    try:
        inputs = call(path)["inputs"]
        request = {"inputs": list(tensors_of(told["example"], inputs)), "outputs": [{"name": ANSWER}]}
        [output] = call(f"{path}/infer", request)["outputs"]
    except urllib.error.HTTPError as error:
        sys.exit(f"The version does not answer its example: HTTP {error.code}, {error.read(1000).decode()}")
    answer = json.loads(output["data"][0])
    wrong = differences(told["expected"], answer)
    if wrong:
        sys.exit(f"The version does not answer as it was judged: {'; '.join(wrong)}.")
    print(f"{told['model']} version {told['model_version']} answers as it was judged: {answer}")


def wait_until_ready() -> None:
    """Return when the server has loaded what the image holds."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            call("/v2/health/ready")
        except OSError as error:
            if time.monotonic() > until:
                sys.exit(f"The server was not ready within {READY_SECONDS} s: {error}")
            time.sleep(0.2)
        else:
            return


def call(path: str, body: Any = None, timeout_seconds: float = ANSWER_SECONDS) -> Any:
    """The JSON that the server answers; with a body by POST."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ.get('PORT', '8080')}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['PERENNIAL_INFERENCE_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - http, of this container
        return json.load(answer)


def tensors_of(instance: dict[str, Any], inputs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One instance as the tensors that the model's metadata asks for: one a feature, or one of JSON texts."""
    for tensor in inputs:
        whole = tensor.get("parameters", {}).get("content_type") == "application/json"
        value = json.dumps(instance) if whole else instance.get(tensor["name"])
        yield {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [1], "data": [value]}


if __name__ == "__main__":
    main()
