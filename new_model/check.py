"""`python -m new_model.check [NAME]` (`make check`): whether a model's files fit each other.

Nothing runs, and of a platform only its settings are read, for the names of its environments. The query is
tried on empty tables, a program is only parsed.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from new_model.decidable import notes_of_release
from new_model.handler import faults_of_handler
from new_model.imports import faults_of_imports
from tasks.data.labelled import columns_of_view
from tasks.data.model_query import training_rows
from tasks.data.suites import load_suite, require_columns, require_declared_columns
from tasks.errors import EXIT_INVALID, InvalidQuery, InvalidRequest, PerennialError
from tasks.serving.environments import VARIABLE, WHERE_SET, addresses, fault_of
from tasks.settings import forget_another_clone, settings
from tasks.spec import PipelineSpec, TableSpec, read_specs, unforeseen
from tasks.stores.lake import Lake, arrow_schema, rows_of
from tasks.training.mlproject import parameters


def faults_of_models(name: str | None = None) -> dict[str, list[str]]:
    """What is wrong with each model, or with one of them; nothing where nothing is.

    Raises:
        InvalidRequest: There is no such model, or none at all.
    """
    specs, unusable = read_specs(settings().models)
    folders = _folders(settings().models)
    if not folders:
        raise InvalidRequest(f"{settings().models} has no model. `make model` makes one.")
    if name is not None and name not in folders:
        raise InvalidRequest(
            f"{settings().models} has no model {name!r}. Say NAME={' or NAME='.join(sorted(folders))}."
        )
    found = {spec.name: list(faults_of_model(spec)) for spec in specs}
    for fault in unusable:
        found[fault.evidence["model"]] = [str(fault)]
    for model in folders - set(found):
        folder = settings().models / model
        found[model] = [
            f"{folder} has no pipeline.yaml, so it is no model. Add that file, or move the folder."
        ]
    return {model: faults for model, faults in sorted(found.items()) if name in {None, model}}


def notes_of_models(names: Iterable[str]) -> Iterator[str]:
    """What the settings of this platform lack for models that are sound on another one, and what in their
    releases could hardly be decided.
    """
    wanted = set(names)
    for spec in read_specs(settings().models)[0]:
        if spec.name in wanted:
            yield from notes_of_release(spec)
        before = [each.name for each in spec.release.environments]
        if spec.name in wanted and before and not addresses():
            yield (
                f"{spec.name} is released through {', '.join(before)}, but {VARIABLE} of this clone names no "
                f"environment: where its platform runs here, set {VARIABLE}={','.join(before)}. {WHERE_SET}."
            )


def faults_of_model(spec: PipelineSpec) -> Iterator[str]:
    """What is wrong with a model whose pipeline.yaml by itself is right, each as a sentence."""
    looks: tuple[Callable[[PipelineSpec], Iterator[str]], ...] = (
        _faults_of_program,
        _faults_of_code,
        _faults_of_handler,
        faults_of_imports,
        _faults_of_suites,
        _faults_of_query,
        _faults_of_feedback,
        _faults_of_environments,
    )
    for look in looks:
        try:
            yield from look(spec)
        except PerennialError as fault:
            yield str(fault)
        except Exception as error:  # noqa: BLE001 - the other looks, and the other models, are still told
            yield str(unforeseen(settings().models / spec.name, error))


def _faults_of_environments(spec: PipelineSpec) -> Iterator[str]:
    """Those that the platform of these settings has not; where they name none, that may be another one's."""
    known = list(addresses())
    if known and (fault := fault_of([each.name for each in spec.release.environments], known)):
        yield fault


def _folders(models: Path) -> set[str]:
    """What looks like a model: every folder, but those that Python and editors make."""
    return {path.name for path in models.glob("[!._]*") if path.is_dir()}


def _faults_of_program(spec: PipelineSpec) -> Iterator[str]:
    parameters(spec, settings().models)
    yield from ()


def _faults_of_code(spec: PipelineSpec) -> Iterator[str]:
    """Python that cannot be parsed, and files that the archive would lack."""
    folder = settings().models / spec.name
    trees: dict[str, ast.Module] = {}
    for path in sorted(folder.glob("*.py")):
        try:
            trees[path.name] = ast.parse(path.read_bytes(), str(path))
        except (SyntaxError, ValueError) as error:
            yield f"{path}: is no Python: {error}"
    packed = (spec.serving.handler, *spec.serving.code)
    for name in packed:
        if not (folder / name).is_file():
            yield f"{folder / name} is missing, but pipeline.yaml names it under serving. Correct either."
        for needed in sorted(_modules(trees[name])) if name in trees else ():
            beside = f"{needed}.py"
            if beside not in packed and (folder / beside).is_file():
                yield (
                    f"{folder / name} imports {needed}, and serving.code in pipeline.yaml does not name "
                    f"{beside}, so the archive would lack it. Name it there."
                )


def _faults_of_handler(spec: PipelineSpec) -> Iterator[str]:
    yield from faults_of_handler(settings().models / spec.name, spec.serving.handler)


def _modules(tree: ast.Module) -> set[str]:
    """The modules that a file imports, by the first part of their names."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _faults_of_suites(spec: PipelineSpec) -> Iterator[str]:
    for table in spec.data.all_tables:
        try:
            suite = load_suite(table.suite)
        except PerennialError as fault:
            yield str(fault)
            continue
        for require in (
            partial(require_columns, suite, suite.expectations, [*table.columns]),
            partial(require_declared_columns, suite, table),
        ):
            try:
                require()
            except PerennialError as fault:
                yield str(fault)


def _faults_of_query(spec: PipelineSpec) -> Iterator[str]:
    training_rows(Lake(), spec, None)
    yield from ()


def _faults_of_feedback(spec: PipelineSpec) -> Iterator[str]:
    """What the labels' way back into the table would stumble over."""
    if spec.data.feedback_query is None:
        return
    where = f"models/{spec.name}/pipeline.yaml: data.feedback_query"
    view = arrow_schema(columns_of_view(spec)).empty_table()
    try:
        rows = Lake().query(f"SELECT * FROM {rows_of(spec.data.feedback_query)}", {"labelled": view})  # noqa: S608
    except InvalidQuery as fault:
        yield f"{where}: {fault} Correct the query."
        return
    yield from (f"{where} {fault}" for fault in _faults_of_columns(rows.column_names, spec.data))


def _faults_of_columns(found: list[str], table: TableSpec) -> Iterator[str]:
    missing = sorted(set(table.columns) - set(found))
    unknown = sorted(set(found) - set(table.columns))
    if missing and (table.missing_columns == "refuse" or table.key in missing):
        yield f"does not return the columns {missing} of the table {table.table!r}; it returns {found}."
    if unknown and table.unknown_columns == "refuse":
        yield f"returns the columns {unknown}, which the table {table.table!r} does not have."


def main(name: Annotated[str, typer.Argument(help="The model; without one, every model.")] = "") -> None:
    """Say what is wrong with the models' files."""
    forget_another_clone()
    try:
        found = faults_of_models(name or None)
    except PerennialError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    for model, faults in found.items():
        print(
            "\n".join(
                [f"{model}: {'sound' if not faults else ''}".rstrip(), *(f"  {fault}" for fault in faults)]
            )
        )
    for note in notes_of_models(sorted(found)):
        print(note)
    if any(found.values()):
        raise typer.Exit(EXIT_INVALID)


if __name__ == "__main__":
    typer.run(main)
