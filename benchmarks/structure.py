"""How the code is cut: modules and the imports between them in tasks/, and what is longer than it should be.

    python3 benchmarks/structure.py                    the working tree
    python3 benchmarks/structure.py 859d83b HEAD       two revisions, side by side

An import counts once for each pair of modules, and between rooms once for each pair of folders directly below
tasks/ (a module that lies there itself is a room). A function's lines are those from its `def` to its last,
without decorators; a docstring counts. What only tells a tool something at a line's end (`# noqa`) does not.
Below the table stands what the last column has above the limits.
"""

import ast
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = "tasks"
LINE_CHARACTERS = 110
FILE_LINES = 350
FUNCTION_LINES = (40, 60)
PRAGMA = re.compile(r"\s*# (noqa|type: ignore|shellcheck)\b.*$")

Sources = Mapping[str, str]


@dataclass(frozen=True)
class Function:
    place: str
    lines: int


@dataclass(frozen=True)
class Structure:
    """What was counted of one revision."""

    modules: int
    imports: int
    rooms: int
    imports_between_rooms: int
    functions: tuple[Function, ...]
    long_lines: tuple[str, ...]
    long_files: tuple[str, ...]

    def rows(self) -> dict[str, int]:
        above = {
            f"functions above {limit} lines": sum(one.lines > limit for one in self.functions)
            for limit in FUNCTION_LINES
        }
        return {
            f"modules in {PACKAGE}/": self.modules,
            "imports between them": self.imports,
            "rooms": self.rooms,
            "imports between rooms": self.imports_between_rooms,
            **above,
            f"lines above {LINE_CHARACTERS} characters": len(self.long_lines),
            f"files above {FILE_LINES} lines": len(self.long_files),
        }


def sources_of(revision: str | None) -> dict[str, str]:
    """Every Python file by its path; of the working tree where no revision is named."""
    if revision is None:
        names = git("ls-files", "--cached", "--others", "--exclude-standard", "*.py").decode().splitlines()
        there = (name for name in names if (PROJECT / name).is_file())
        return {name: (PROJECT / name).read_text(encoding="utf-8") for name in there}
    with tarfile.open(
        fileobj=io.BytesIO(git("archive", "--format=tar", revision, "--", ":(glob)**/*.py"))
    ) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {name: file.read().decode() for name, file in files if file}


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, check=True, capture_output=True).stdout


def structure_of(sources: Sources) -> Structure:
    modules = {module_of(name): name for name in sources if name.startswith(f"{PACKAGE}/")}
    imports = {
        (module, imported)
        for module, name in modules.items()
        for imported in imports_of(ast.parse(sources[name]), set(modules))
        if imported != module
    }
    rooms = {(room_of(one), room_of(other)) for one, other in imports}
    numbered = {name: text.splitlines() for name, text in sources.items()}
    return Structure(
        modules=len(modules),
        imports=len(imports),
        rooms=len({room_of(module) for module in modules}),
        imports_between_rooms=sum(one != other for one, other in rooms),
        functions=tuple(one for name, text in sources.items() for one in functions_of(name, text)),
        long_lines=tuple(
            f"{name}:{number}"
            for name, lines in numbered.items()
            for number, line in enumerate(lines, start=1)
            if len(PRAGMA.sub("", line)) > LINE_CHARACTERS
        ),
        long_files=tuple(
            f"{name}: {len(lines)}" for name, lines in numbered.items() if len(lines) > FILE_LINES
        ),
    )


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports_of(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """The known modules that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield from [name for name in (submodule, node.module) if name in known][:1]


def functions_of(path: str, text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(f"{path}:{node.lineno} {node.name}", lines)


def main(revisions: list[str]) -> None:
    if revisions:
        counted = {revision: structure_of(sources_of(revision)) for revision in revisions}
    else:
        counted = {"working tree": structure_of(sources_of(None))}
    print(f"| | {' | '.join(counted)} |\n|---|{'---|' * len(counted)}")
    tables = [structure.rows() for structure in counted.values()]
    for name in tables[0]:
        print(f"| {name} | {' | '.join(str(table[name]) for table in tables)} |")
    last = list(counted.values())[-1]
    longest = sorted(last.functions, key=lambda one: -one.lines)
    above = [f"{one.place}: {one.lines}" for one in longest if one.lines > min(FUNCTION_LINES)]
    for title, found in (("functions", above), ("lines", last.long_lines), ("files", last.long_files)):
        print(f"\nLong {title}:", *(found or ["none"]), sep="\n    ")


if __name__ == "__main__":
    main(sys.argv[1:])
