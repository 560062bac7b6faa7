"""Take back the labels of a token: `python containers/gateway/take_back.py shop --why "it was stolen"`.

Run it in the gateway's container, or in a shell that points to the platform. The labels stay in the log; they
never reach a training afterwards. Remove the token from PERENNIAL_PREDICTION_TOKENS first: what it sends
later counts again.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

PORT = os.environ.get("PERENNIAL_GATEWAY_PORT", "8000")
URL = os.environ.get("PERENNIAL_GATEWAY_URL", f"http://127.0.0.1:{PORT}").rstrip("/")


def main() -> None:
    """Ask the gateway, and say what it has taken back."""
    options = parse()
    for record in post({"sent_by": options.token, "since": options.since, "why": options.why}):
        model, labels = record["model"], record["labels"]
        print(f"{model}: {labels} labels, received until {record['until']}, are taken back.")
        print(
            f"  The next run of collect_{model} leaves them out and names the rows that have landed already."
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take back the labels that a token sent.")
    sender = parser.add_mutually_exclusive_group(required=True)
    sender.add_argument("token", nargs="?", help="the token's name, not the token")
    sender.add_argument("--without-token", action="store_true", help="those that came without a token")
    parser.add_argument("--since", help="only those received then or later, e.g. 2026-11-01T00:00:00Z")
    parser.add_argument("--why", required=True, help="for those who read the record later")
    return parser.parse_args()


def post(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The gateway's records; where it refuses, the program ends with its sentence."""
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {os.environ.get('PERENNIAL_GATEWAY_TOKEN', '')}",
    }
    body = json.dumps(document).encode()
    request = urllib.request.Request(f"{URL}/internal/takebacks", data=body, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the operator's own address
            records: list[dict[str, Any]] = json.load(answer)["taken_back"]
            return records
    except urllib.error.HTTPError as error:
        sys.exit(str(json.load(error)["error"]))
    except urllib.error.URLError as error:
        sys.exit(f"The gateway does not answer at {URL}: {error.reason}. See whether it runs.")


if __name__ == "__main__":
    main()
