"""What is strange about a labels file: the file in, a list of findings out.

Nothing is changed, and nothing stops at the first problem: unlike `read_csv`, which refuses a file,
this reads what can be read and says all that is strange about it.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.ethogram.alignment import NUM_PARTS, Shift, find_shift
from pixelethogram.ethogram.bouts import bout_lengths
from pixelethogram.ethogram.ethogram import FRAME_COLUMN, LABEL_CELLS
from pixelethogram.progress import format_count

Level = Literal["error", "warning", "note"]

BACKGROUND = "background"
UNREADABLE = -2  # beside 1, 0 and -1
USUAL_RATES = (10.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0, 100.0, 120.0)
NEARLY = 3  # rows more or less than frames that a player or an export may have lost
MOSTLY_UNSCORED = 0.5
MAX_SHIFT_SECONDS = 3.0
TOLERANCE_SECONDS = 0.1
MAX_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing about labels that a person should know."""

    level: Level
    """error: `import` refuses the file; warning: look at it; note: good to know."""
    what: str
    do: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Recording:
    """What labels are held against."""

    name: str
    num_frames: int
    fps: float


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """What could be read of a labels file."""

    behaviors: tuple[str, ...]
    values: np.ndarray
    """(T, K) int8; 1, 0, −1, or UNREADABLE."""
    findings: tuple[Finding, ...]
    """About the file itself."""


def read_table(path: Path) -> LabelTable:
    """Read a labels file with all its faults.

    Raises:
        InputError: There is no such file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", where=path, do="check the name") from None
    findings = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        findings.append(Finding("error", "the file is not UTF-8", "save it as 'CSV UTF-8'"))
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    if delimiter != ",":
        mark = {";": "semicolons", "\t": "tabs"}[delimiter]
        findings.append(Finding("error", f"columns are divided by {mark}", "save it with commas"))
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    names, first = _read_header([cell.strip() for cell in rows[0]] if rows else [], findings)
    if not rows or not names:
        return LabelTable((), np.zeros((0, 0), np.int8), tuple(findings))
    body = rows[1:]
    if first:
        _check_counting([row[0].strip() for row in body], findings)
    values, strange = _read_cells(body, len(names), first)
    if strange:
        shown = ", ".join(f'"{cell}"' for cell in sorted(strange)[:MAX_SHOWN])
        number = int((values == UNREADABLE).sum())
        findings.append(
            Finding("error", f"{number} cells are not 1, 0 or -1: {shown}", "mend these cells")
        )
    return LabelTable(names, values, tuple(findings))


def check_table(
    table: LabelTable,
    recording: Recording | None,
    behaviors: Sequence[str] | None,
    *,
    exclusive: bool = False,
    others: Iterable[Recording] = (),
) -> list[Finding]:
    """Everything that one file shows, without its video being decoded.

    Args:
        table: What was read.
        recording: The video it belongs to; None leaves the number of rows alone.
        behaviors: Those of the project; None: whatever the file has.
        exclusive: At most one behavior per frame.
        others: The other videos, in case the file belongs to one of them.
    """
    findings = list(table.findings)
    if recording is not None:
        findings += check_length(len(table.values), recording, others)
    if behaviors is not None and table.behaviors:
        findings += check_names(table.behaviors, behaviors)
    if len(table.values):
        findings += check_columns({"": table})
        findings += _check_overlaps(table, exclusive)
    return findings


def check_length(
    num_rows: int, recording: Recording, others: Iterable[Recording] = ()
) -> list[Finding]:
    """Rows against frames, and what the difference may come from."""
    extra = num_rows - recording.num_frames
    if extra == 0:
        return []
    what = f"{format_count(num_rows, 'row')}, but {recording.name} has "
    what += format_count(recording.num_frames, "frame")
    twins = [each.name for each in others if each.num_frames == num_rows]
    rate = _find_rate(num_rows, recording)
    if twins:
        do = f"it fits {', '.join(twins[:MAX_SHOWN])}: were files swapped?"
    elif abs(extra) <= NEARLY:
        do = (
            f"no frame for the last {format_count(extra, 'row')}: look whether the last bouts lie "
            "right, then cut"
            if extra > 0
            else f"no row for the last {format_count(-extra, 'frame')}: look whether the last "
            "bouts lie right, then add rows of -1"
        )
    elif rate:
        do = f"so many rows fit {rate:g} frames per second, the video has {recording.fps:.4g}: "
        do += "export the labels again at the rate of the video"
    else:
        do = "one row per frame of this video; -1 where nobody scored"
    return [Finding("error", what, do)]


def check_names(found: Sequence[str], behaviors: Sequence[str]) -> list[Finding]:
    """Columns against the behaviors of the project; the nearest name is suggested."""
    findings = []
    missing = [name for name in behaviors if name not in found]
    for name in (name for name in found if name not in (*behaviors, BACKGROUND)):
        nearest = _nearest(name, missing)
        do = f'rename it to "{nearest}"?' if nearest else "delete the column"
        findings.append(Finding("error", f'"{name}" is no behavior of the project', do))
        missing = [each for each in missing if each != nearest]
    for name in missing:
        findings.append(
            Finding("error", f'there is no column "{name}"', "add it, filled with -1 (not scored)")
        )
    return findings


def check_columns(tables: Mapping[str, LabelTable]) -> list[Finding]:
    """Columns that say nothing: nobody scored them, never present, always present.

    Args:
        tables: Video -> what was read; the columns are looked at over all of them together.
    """
    findings = []
    names = dict.fromkeys(name for table in tables.values() for name in table.behaviors)
    everywhere = " in any video" if len(tables) > 1 else ""
    for name in names:
        column = np.concatenate(
            [
                table.values[:, table.behaviors.index(name)]
                for table in tables.values()
                if name in table.behaviors
            ]
        )
        scored = column[column >= 0]
        if len(scored) == 0:
            findings.append(Finding("warning", f'"{name}" is not scored{everywhere}'))
        elif not (scored == 1).any():
            level: Level = "warning" if everywhere else "note"
            findings.append(Finding(level, f'"{name}" never occurs{everywhere}'))
        elif (scored == 1).all():
            findings.append(Finding("warning", f'"{name}" is present on every scored frame'))
        unscored = float((column == -1).mean())
        if MOSTLY_UNSCORED <= unscored < 1:
            findings.append(Finding("note", f'"{name}": {unscored:.0%} of the frames not scored'))
        short = int((bout_lengths(column) == 1).sum())
        if short:
            findings.append(
                Finding(
                    "note",
                    f'"{name}" has {format_count(short, "bout")} of one frame',
                    "are they meant?",
                )
            )
    return findings


def check_motion(table: LabelTable, energy: np.ndarray, fps: float) -> list[Finding]:
    """Whether the labels lie where something moves, or all of them are late or early.

    Args:
        table: Labels of the video; rows beyond the motion are left out.
        energy: (T,) motion energy of the first frames of the video.
        fps: Frames per second.
    """
    length = min(len(table.values), len(energy))
    shift = find_shift(
        table.values[:length],
        energy[:length],
        max_frames=round(MAX_SHIFT_SECONDS * fps),
        tolerance_frames=max(2, round(TOLERANCE_SECONDS * fps)),
    )
    return [_describe_shift(shift, fps)] if shift is not None and shift.clear else []


def _describe_shift(shift: Shift, fps: float) -> Finding:
    number = abs(shift.frames)
    now, better = ("late", "earlier") if shift.frames < 0 else ("early", "later")
    what = (
        f"all labels seem to be {format_count(number, 'frame')} ({number / fps:.2f} s) {now}: "
        f"that much {better} they would explain {shift.fit:.0%} of the motion in the video; now it "
        f"is {shift.fit_now:.0%}, by chance up to {shift.fit_far:.0%} "
        f"({shift.parts_agree} of {NUM_PARTS} quarters of the video agree)"
    )
    return Finding("warning", what, "look at some bouts in the video before moving the labels")


def _read_header(header: list[str], findings: list[Finding]) -> tuple[tuple[str, ...], int]:
    """Names of the behaviors, and 1 if there is a column before them."""
    if not header:
        findings.append(Finding("error", "the file is empty"))
        return (), 0
    if header[0] == FRAME_COLUMN:
        names, first = header[1:], 1
    elif header[0] == "" or header[0].lower() in {"frame", "frames", "index", "unnamed: 0"}:
        names, first = header[1:], 1
        do = f'call it "{FRAME_COLUMN}"'
        findings.append(Finding("error", f'the first column is called "{header[0]}"', do))
    else:
        names, first = header, 0
        do = f'begin with a column "{FRAME_COLUMN}": 0, 1, 2, …'
        findings.append(Finding("error", f'there is no column "{FRAME_COLUMN}"', do))
    if BACKGROUND in names:
        do = "delete it: background is where no behavior is present"
        findings.append(Finding("error", f'there is a column "{BACKGROUND}"', do))
    twice = {name for name in names if names.count(name) > 1 or not name}
    for name in sorted(twice):
        findings.append(Finding("error", f'several columns are called "{name}"', "rename them"))
    return tuple(names), first


def _check_counting(cells: list[str], findings: list[Finding]) -> None:
    if cells == [str(frame) for frame in range(len(cells))]:
        return
    if cells == [str(frame) for frame in range(1, len(cells) + 1)]:
        findings.append(Finding("error", "frames are counted from 1", "count them from 0"))
        return
    wrong = next(frame for frame, cell in enumerate(cells) if cell != str(frame))
    do = "one row per frame, in order, none left out"
    findings.append(Finding("error", f'row {wrong} is called frame "{cells[wrong]}"', do))


def _read_cells(
    rows: list[list[str]], num_behaviors: int, first: int
) -> tuple[np.ndarray, set[str]]:
    """(T, K) int8 values, and the cells that mean nothing; missing cells count among them."""
    padded = [(row[first:] + [""] * num_behaviors)[:num_behaviors] for row in rows]
    cells = np.array(padded, dtype=str).reshape(len(rows), num_behaviors)
    texts, codes = np.unique(cells, return_inverse=True)
    meanings = np.array([LABEL_CELLS.get(text.strip(), UNREADABLE) for text in texts], np.int8)
    values = meanings[codes].reshape(cells.shape)
    return values, {
        str(text) for text, code in zip(texts, meanings, strict=True) if code == UNREADABLE
    }


def _check_overlaps(table: LabelTable, exclusive: bool) -> list[Finding]:
    several = (table.values == 1).sum(axis=1) > 1
    if not (exclusive and several.any()):
        return []
    first = int(several.argmax())
    names = [
        name for name, cell in zip(table.behaviors, table.values[first], strict=True) if cell == 1
    ]
    what = f"several behaviors at once on {format_count(int(several.sum()), 'frame')}"
    what += f", first on frame {first}: {' and '.join(names)}"
    return [Finding("error", what, "choose one, or set exclusive: false in project.yaml")]


def _find_rate(num_rows: int, recording: Recording) -> float | None:
    """The usual frame rate at which the video would have so many frames."""
    wanted = num_rows / recording.num_frames * recording.fps
    nearest = min(USUAL_RATES, key=lambda rate: abs(rate - wanted))
    near = abs(nearest - wanted) < 0.005 * nearest
    return nearest if near and abs(nearest - recording.fps) > 0.02 * nearest else None


def _nearest(name: str, candidates: Sequence[str]) -> str | None:
    plain = {_simplify(each): each for each in candidates}
    found = difflib.get_close_matches(_simplify(name), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def _simplify(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name


def summarize(findings: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    """Counts of each level, and all findings by file, as plain values."""
    levels = [each.level for found in findings.values() for each in found]
    counts = {level: levels.count(level) for level in ("error", "warning", "note")}
    files = {name: [each.to_dict() for each in found] for name, found in findings.items()}
    return {**counts, "files": files}
