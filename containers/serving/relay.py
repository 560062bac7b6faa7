"""Hand questions from outside to the server of this image: `docker exec --interactive ... relay.py`.

The container that is tried has no network, so that whoever tries it asks through this process. A line of its
standard input is a question, {"id", "instance", "timeout_seconds"}; a line of its standard output is the
answer to one, in the order in which they come: {"id", "answer"}, or {"id", "error"}, a sentence.
"""

import json
import sys
import threading
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from accept import ANSWER, VERSION, call, tensors_of, wait_until_ready

MOST_AT_ONCE = 256


def main() -> None:
    """Answer until nobody asks any more."""
    wait_until_ready()
    told = json.loads(VERSION.read_text(encoding="utf-8"))
    path = f"/v2/models/{told['model']}/versions/{told['version']}"
    inputs = call(path)["inputs"]
    one_at_a_time = threading.Lock()

    def hand_over(line: str) -> None:
        question = json.loads(line)
        told = json.dumps({"id": question["id"], **answer_to(question, path, inputs)})
        with one_at_a_time:
            print(told, flush=True)

    with ThreadPoolExecutor(MOST_AT_ONCE) as callers:
        for line in sys.stdin:
            callers.submit(hand_over, line)


def answer_to(question: dict[str, Any], path: str, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the server says to one instance."""
    tensors = list(tensors_of(question["instance"], inputs))
    request = {"inputs": tensors, "outputs": [{"name": ANSWER}]}
    try:
        [output] = call(f"{path}/infer", request, question["timeout_seconds"])["outputs"]
    except urllib.error.HTTPError as error:
        return {"error": f"HTTP {error.code}, {error.read(1000).decode(errors='replace')}"}
    except OSError as error:
        return {"error": f"no answer: {error}"}
    answer = json.loads(output["data"][0])
    return {"error": answer["error"]} if "error" in answer else {"answer": answer}


if __name__ == "__main__":
    main()
