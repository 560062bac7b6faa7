"""The program behind `replay`: let a training's own code prepare raw rows.

`python -m tasks.evaluation.preparation.trained_program --code FOLDER --model NAME --files FOLDER
--work FOLDER --output trained.npz`, where `--code` has the program as it was kept with the run, and `--files`
what that training saved.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from tasks.evaluation.preparation.inputs import DECLARED, PROGRAM, CannotCompare, Inputs, by_row
from tasks.runtime.leaving import run_and_leave

WIDER = {"i": "float64", "u": "float64", "b": "object"}
Prepare = Callable[[Path, pd.DataFrame], Mapping[str, Any]]


def import_program(code: Path, model: str) -> Prepare:
    """The function of the program, which is imported where it would run: in its folder, with the helper's."""
    sys.path[:0] = [str(code / model), str(code)]
    os.chdir(code / model)
    program = importlib.import_module(Path(PROGRAM).stem)
    prepare: Prepare = getattr(program, DECLARED)
    return prepare


def prepare_all(prepare: Prepare, files: Path, group: list[int], rows: pd.DataFrame) -> Inputs:
    """All rows together, as in training; where that fails, each alone, to find the one that it fails on."""
    try:
        prepared = by_row(prepare(files, rows))
        return Inputs(rows=dict(zip(group, prepared, strict=True)))
    except CannotCompare as error:
        return Inputs(unknown=f"{DECLARED} in {PROGRAM}: {error}.")
    except Exception as error:  # noqa: BLE001 - whatever the model's code raises is what training does with a row
        if len(group) == 1:
            return Inputs(refused={group[0]: f"{type(error).__name__}: {error}"})
    found = Inputs()
    for place, row in enumerate(group):
        found.add(prepare_all(prepare, files, [row], rows.iloc[[place]]))
    return found


def as_pandas_had_it(rows: pd.DataFrame, nullable: list[str]) -> pd.DataFrame:
    """The columns in the types that pandas gives them in a table with nulls, as the training's was."""
    wider = {name: WIDER.get(rows[name].dtype.kind) for name in nullable}
    return rows.astype({name: kind for name, kind in wider.items() if kind})


def main(
    code: Annotated[Path, typer.Option()],
    model: Annotated[str, typer.Option()],
    files: Annotated[Path, typer.Option()],
    work: Annotated[Path, typer.Option(help="A folder with groups.json, and rows-0.parquet and so on.")],
    output: Annotated[Path, typer.Option()],
) -> None:
    asked = json.loads((work / "groups.json").read_text(encoding="utf-8"))
    found = Inputs()
    try:
        prepare = import_program(code, model)
    except Exception as error:  # noqa: BLE001 - it is the model's code
        found.unknown = f"the training program cannot be imported: {type(error).__name__}: {error}."
        found.save(output)
        return
    for number, group in enumerate(asked["groups"]):
        rows = as_pandas_had_it(pd.read_parquet(work / f"rows-{number}.parquet"), asked["nullable"])
        found.add(prepare_all(prepare, files, group, rows))
    found.save(output)


if __name__ == "__main__":
    run_and_leave(lambda: typer.run(main))
