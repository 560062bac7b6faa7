"""The pictures of README and docs/: taken of what runs, and of nothing else."""

import shutil
from pathlib import Path

import pytest

from demo.stage import MODELS_PAGE
from embedded.platform import Platform
from handbook.screenshots import NoPicture, Picture, take

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""

pytestmark = [
    pytest.mark.platform,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: apt-get install chromium"),
]
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_picture_is_of_the_page_that_runs_and_none_is_of_an_error(
    platform: Platform, tmp_path: Path
) -> None:
    login = platform.credentials
    airflow = {"user": login.username, "password": login.password}
    asked = {
        "pages": [
            {"page": "Airflow", "address": f"{platform.addresses.airflow}/", **airflow},
            {"page": "Models", "address": f"{platform.addresses.airflow}/{MODELS_PAGE}", **airflow},
        ]
    }

    [taken] = take((Picture("all", "Models", "", "main h1"),), asked, tmp_path, CHROMIUM)

    assert taken.read_bytes().startswith(PNG)
    with pytest.raises(NoPicture, match="answers HTTP 404"):
        take((Picture("none", "Models", "no_such_model", "main"),), asked, tmp_path, CHROMIUM)
    assert list(tmp_path.iterdir()) == [taken]
