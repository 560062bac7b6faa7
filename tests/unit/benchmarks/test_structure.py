"""What benchmarks/structure.py counts, on a project of a few lines."""

from benchmarks.structure import structure_of

SOURCES = {
    "tasks/__init__.py": "",
    "tasks/settings.py": "WIDTH = 1\n",
    "tasks/stores/__init__.py": "from tasks.stores.files import put\n",
    "tasks/stores/files.py": "import tasks.settings\n\n\ndef put():\n" + "    pass\n" * 40,
    "tasks/data/ingest.py": (
        "from tasks.stores import files, lake, put\n\n\ndef ingest():\n    from tasks.settings import WIDTH\n"
    ),
    "plugins/wide.py": f"A = '{'x' * 110}'\nB = '{'x' * 100}'  # noqa: S105 - a reason that may be long\n",
    "tests/long.py": "\n" * 351,
}


def test_imports_are_pairs_of_modules_and_rooms_are_folders() -> None:
    found = structure_of(SOURCES)
    assert (found.modules, found.rooms) == (5, 4)
    pairs = {
        "stores -> files",
        "files -> settings",
        "ingest -> files",
        "ingest -> stores",
        "ingest -> settings",
    }
    assert found.imports == len(pairs)
    between = {"stores -> settings", "data -> stores", "data -> settings"}
    assert found.imports_between_rooms == len(between)


def test_what_is_longer_than_its_limit_is_named() -> None:
    found = structure_of(SOURCES)
    assert [one.place for one in found.functions if one.lines > 40] == ["tasks/stores/files.py:4 put"]
    assert found.rows()["functions above 40 lines"] == 1
    assert found.rows()["functions above 60 lines"] == 0
    assert found.long_lines == ("plugins/wide.py:1",)
    assert found.long_files == ("tests/long.py: 351",)
