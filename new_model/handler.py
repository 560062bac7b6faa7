"""Whether a model's handler can serve, as far as its text says: none of the model's code is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

BASE_MODULE, BASE = "perennial_handler", "PerennialHandler"
WANTED = {"load": ("load(folder)", "initialize"), "predict": ("predict(instances)", "handle")}
"""What a handler has to have, and what of its base it may replace instead."""


def faults_of_handler(folder: Path, name: str) -> Iterator[str]:
    """Why TorchServe could not take a handler: it takes the only class of its module.

    Args:
        folder: The model's folder.
        name: The handler's file in it.
    """
    path = folder / name
    tree = _parsed(path)
    if tree is None:
        return
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if not classes and any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)):
        return
    if len(classes) != 1:
        found = ", ".join(each.name for each in classes) or "none"
        yield (
            f"{path} has to define exactly one class, `class Handler({BASE})`; it defines {found}. Further "
            "classes belong in other files."
        )
        return
    [handler] = classes
    has = _methods(folder, tree, handler)
    if has is None:
        return
    if BASE not in has and not {"initialize", "handle"} <= has:
        yield f"{path}: {handler.name} does not inherit {BASE} of {BASE_MODULE}. Let it."
        return
    for method, (signature, instead) in WANTED.items():
        if method not in has and instead not in has:
            yield f"{path}: {handler.name} lacks {signature}, so it cannot serve. Add it."


def _parsed(path: Path) -> ast.Module | None:
    """A file's syntax tree; None where there is none, which is told elsewhere."""
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError):
        return None


def _methods(folder: Path, tree: ast.Module, of: ast.ClassDef) -> set[str] | None:
    """What a class and its bases define, with `BASE` where that is one of them; None where a text does not
    tell.
    """
    if of.decorator_list or of.keywords:
        return None
    found = _defined(of)
    for base in of.bases:
        inherited = _inherited(folder, tree, base)
        if inherited is None:
            return None
        found |= inherited
    return found


def _defined(of: ast.ClassDef) -> set[str]:
    found = set()
    for node in of.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found.add(node.target.id)
    return found


def _inherited(folder: Path, tree: ast.Module, base: ast.expr) -> set[str] | None:
    place = _imported(tree, base)
    if place is None:
        return set() if isinstance(base, ast.Name) and base.id == "object" else None
    module, name = place
    if (module, name) == (BASE_MODULE, BASE):
        return {BASE}
    other = _parsed(folder / f"{module}.py")
    named = (
        [node for node in other.body if isinstance(node, ast.ClassDef) and node.name == name] if other else []
    )
    return _methods(folder, other, named[-1]) if other and named else None


def _imported(tree: ast.Module, base: ast.expr) -> tuple[str, str] | None:
    """The module and the name that an expression stands for, by the imports of its file."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and isinstance(base, ast.Name) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == base.id:
                    return node.module, alias.name
        elif (
            isinstance(node, ast.Import)
            and isinstance(base, ast.Attribute)
            and isinstance(base.value, ast.Name)
        ):
            for alias in node.names:
                if (alias.asname or alias.name) == base.value.id:
                    return alias.name, base.attr
    return None
