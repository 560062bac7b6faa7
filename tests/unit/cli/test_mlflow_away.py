"""A word that asks MLflow by its own client, where nothing answers."""

from typing import NoReturn

import pytest

from cli.__main__ import main
from cli.exits import FAULT


def test_mlflow_that_does_not_answer_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def word(*_: object, **__: object) -> NoReturn:
        from mlflow import MlflowClient

        MlflowClient("http://127.0.0.1:9").search_experiments()
        raise AssertionError("nothing listens there")

    monkeypatch.setattr("cli.app.load_words", lambda: word)
    with pytest.raises(SystemExit) as ended:
        main(["card", "review_sentiment"])
    told = capsys.readouterr().err
    assert ended.value.code == FAULT
    assert told.startswith(
        "RegistryError: MLflow does not answer as it should: API request to http://127.0.0.1:9"
    )
    assert told.endswith("See what runs: make status.\n")
    assert len(told.splitlines()) == 1
