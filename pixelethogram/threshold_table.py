"""The thresholds of a sequence run as a table that people may edit: thresholds.csv in its folder.

What the column `threshold` says is what `predict` and `evaluate` use. `chosen` is what validation
frames chose; within `plateau_low` and `plateau_high` the F1 there is at most 0.005 below the best.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError, UsageError
from pixelethogram.ethogram.decision import Decision
from pixelethogram.runs import Run

COLUMNS = ("behavior", "threshold", "chosen", "plateau_low", "plateau_high")


def table_path(run: Run) -> Path:
    """The table of a sequence run; runs of older versions have none."""
    return run.folder / "thresholds.csv"


def write_thresholds(decision: Decision, path: Path) -> None:
    """Write the table with the thresholds that were chosen."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for column, behavior in enumerate(decision.behaviors):
        value = float(decision.thresholds[column])
        plateau = ("", "") if decision.plateau is None else decision.plateau[column].tolist()
        writer.writerow([behavior, value, value, *plateau])
    write_bytes(path, text.getvalue().encode())


def load_decision(run: Run, overrides: Mapping[str, float] | None = None) -> Decision:
    """The decision rule of a run: as chosen, then as edited in its table, then as overridden.

    Raises:
        InputError: The table is damaged.
    """
    chosen = Decision.from_dict(run.results["decision"])
    path = table_path(run)
    edited = read_thresholds(path, chosen) if path.exists() else {}
    return chosen.with_thresholds({**edited, **(overrides or {})})


def read_thresholds(path: Path, decision: Decision) -> dict[str, float]:
    """Behavior -> threshold of a table.

    Raises:
        InputError: It is not a table of these behaviors, or a threshold is not between 0 and 1.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _damaged(path, f"it is not UTF-8 text: {error.reason}") from None
    reader = csv.DictReader(io.StringIO(lines, newline=""))
    if not set(COLUMNS[:2]) <= set(reader.fieldnames or ()):
        raise _damaged(path, f'the header is "{",".join(reader.fieldnames or ())[:80]}"')
    found: dict[str, float] = {}
    for row in reader:
        name, text = row["behavior"], row["threshold"]
        if name not in decision.behaviors or name in found:
            raise _damaged(
                path, f'line {reader.line_num}: "{name}" is no behavior of the run, or stands twice'
            )
        if text and text == row.get("chosen"):  # as it was written, whatever the floor was
            found[name] = float(decision.thresholds[decision.behaviors.index(name)])
        else:
            found[name] = _parse(text or "", f"{path}, line {reader.line_num}")
    if missing := [name for name in decision.behaviors if name not in found]:
        raise _damaged(path, f"there is no row for {', '.join(missing)}")
    return found


def describe_changes(run: Run, decision: Decision) -> str | None:
    """One line about thresholds that are not those that validation chose; None if all are."""
    chosen = Decision.from_dict(run.results["decision"])
    pairs = zip(decision.behaviors, decision.thresholds, chosen.thresholds, strict=True)
    changed = [f"{name} {new:.3g} (chosen: {old:.3g})" for name, new, old in pairs if new != old]
    return f"thresholds set by hand: {', '.join(changed)}" if changed else None


def parse_overrides(texts: Iterable[str], behaviors: Iterable[str]) -> dict[str, float]:
    """Thresholds from texts such as groom=0.3.

    Raises:
        UsageError: Not NAME=VALUE, an unknown behavior, or a value that is not between 0 and 1.
    """
    known, found = list(behaviors), {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or name not in known:
            raise UsageError(
                f'--threshold "{text}" names no behavior',
                do=f"write NAME=VALUE; behaviors: {', '.join(known)}",
            )
        try:
            found[name] = _parse(value, f"--threshold {text}")
        except InputError as error:
            raise UsageError(error.what, where=error.where, do=error.do) from None
    return found


def _parse(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise InputError(
            f'the threshold is "{text}"', where=where, do="give a number between 0 and 1"
        )
    return value


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        f"the table of thresholds cannot be used: {what}",
        where=path,
        do="mend it (columns behavior and threshold, a row per behavior), or delete it: then the "
        "thresholds that validation chose are used",
    )
