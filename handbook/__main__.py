"""Write the pages and schemas that come from the code: `python -m handbook`, the start of `make docs`."""

import json

from handbook import command, schema, settings, specification
from tasks.settings import PROJECT


def written() -> dict[str, str]:
    """Each file, by its place in the project, as it has to be."""
    return {
        "docs/reference-spec.md": specification.reference(),
        "docs/reference-command.md": command.reference(),
        "docs/reference-settings.md": settings.reference(),
        "models/pipeline.schema.json": _json(schema.schema_of_pipeline()),
        "models/behaviour.schema.json": _json(schema.schema_of_behaviour()),
    }


def main() -> None:
    """Write those that have changed, and name them."""
    for name, text in written().items():
        path = PROJECT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")


def _json(document: schema.Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
