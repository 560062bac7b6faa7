"""What is to change of the version that serves."""

from tasks.contracts import Route
from tasks.release.settings_move import changed_settings

SERVES = Route(
    model="m",
    model_version="1",
    run_id="r",
    backend_version="a",
    archive_sha256="0" * 64,
    input_schema={"type": "object"},
    label_schema={"type": "string"},
    timeout_seconds=5,
)


def test_what_serves_as_pipeline_yaml_says_is_left_alone() -> None:
    assert changed_settings(SERVES, SERVES, fits=True) == ()


def test_another_setting_of_the_route_or_of_the_backend_alone_is_a_change() -> None:
    wanted = SERVES.model_copy(update={"backend": "oip", "workers": 2, "label_schema": {"type": "integer"}})

    assert changed_settings(SERVES, wanted, fits=False) == (
        "another label_schema",
        "backend: torchserve -> oip",
        "workers: 1 -> 2",
    )
    assert changed_settings(SERVES, SERVES, fits=False) == ("what its backend keeps of it",)
