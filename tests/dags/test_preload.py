"""What Airflow forks from has imported our modules ahead, as far as they can be imported."""

import logging
from pathlib import Path

import pytest

from plugins import listener, preload


def test_what_forks_imports_ours_and_a_task_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow calls the listener in both; a broken DAG file is no concern of another one's tasks."""
    from airflow.jobs.job import Job
    from airflow.listeners.listener import get_listener_manager
    from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

    started: list[str] = []
    monkeypatch.setattr(preload, "preload", lambda: started.append("preload"))
    manager = get_listener_manager()
    known = manager.pm.is_registered(listener)
    manager.add_listener(listener)
    try:
        manager.hook.on_starting(component=TaskRunnerMarker())
        assert started == []
        Job()
        assert started == ["preload"]
    finally:
        if not known:
            manager.pm.unregister(listener)


def test_what_is_broken_keeps_nothing_else_from_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dags").mkdir()
    for name, text in {
        "a_no_python.py": "from plugins.verbs import",
        "b_gone.py": "from plugins.which_there_is_not import x\n",
        "c_good.py": "from plugins.percent_of_nothing import x\nfrom tasks.percent import percent\n",
    }.items():
        (tmp_path / "dags" / name).write_text(text)
    imported: list[str] = []
    genuine = preload.importlib.import_module
    monkeypatch.setattr(preload, "PROJECT", tmp_path)
    monkeypatch.setattr(
        preload.importlib, "import_module", lambda name: (genuine(name), imported.append(name))
    )
    with caplog.at_level(logging.ERROR):
        preload.preload()
    assert imported == ["tasks.percent"]
    assert "plugins.which_there_is_not cannot be imported" in caplog.text
