"""What the gateway tells its users: which version of each model answers."""

import json

import requests

from cli.exits import LoginRefused
from cli.unreachable import why_unreachable
from tasks.contracts import Serving
from tasks.errors import ServingError

TIMEOUT_SECONDS = (5.0, 30.0)


def models(url: str, token: str) -> dict[str, Serving]:
    """What serves of every model, by `GET <url>/v1/models`.

    Raises:
        ServingError: Nothing answers there.
        LoginRefused: A token is asked for, and `token` is not one.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(f"{url}/v1/models", headers=headers, timeout=TIMEOUT_SECONDS)
        if answer.status_code in {401, 403}:
            raise LoginRefused(
                f"The gateway at {url} asks for a token for predictions: set PERENNIAL_PREDICTION_TOKEN.",
                status=answer.status_code,
            )
        answer.raise_for_status()
        found = json.loads(answer.text)["models"]
    except requests.RequestException as error:
        raise ServingError(
            f"The gateway does not answer at {url}/v1/models: {why_unreachable(error)}"
        ) from error
    except (ValueError, KeyError) as error:
        raise ServingError(
            f"What answers at {url}/v1/models is not the gateway: name its address, PERENNIAL_GATEWAY_URL."
        ) from error
    return {each["model"]: _serving(each) for each in found}


def _serving(summary: dict[str, str]) -> Serving:
    return Serving.model_validate(
        {
            "model_version": summary["model_version"],
            "run_id": summary["run_id"],
            "archive_sha256": summary["archive_sha256"],
            "since": summary["serving_since"],
        }
    )
