"""What prediction leaves of a recording, and whether what lies there is what is asked for now.

The stamp, `NAME.json`, is written last and says what the other files were made with. They are never
replaced, nor taken for the answer to another question, unless that is asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError
from pixelethogram.ethogram.bouts import find_bouts, write_bouts_csv
from pixelethogram.ethogram.decision import Decision
from pixelethogram.ethogram.ethogram import Ethogram, write_csv, write_probabilities_csv
from pixelethogram.ethogram.plots import plot_raster
from pixelethogram.frames.pose_files import holds_pose
from pixelethogram.pose.readers.assembly import Facts
from pixelethogram.video_results import VideoResult


@dataclasses.dataclass(frozen=True)
class Maker:
    """What turns recordings into ethograms."""

    run: str
    """Id of the sequence run."""
    decision: Decision
    exact: bool
    """fp32 was asked for."""
    precision: str
    """Number format of the features: fp32, bf16 or fp16 (and bf16 where fp16 does not suffice)."""
    rater: str | None = None
    """Whose head answers; None where there is one answer for all."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A recording to predict, and where its results go."""

    source: Path
    folder: Path
    sha256: str
    facts: Facts

    @property
    def stamp(self) -> Path:
        """Written last; says that all is there."""
        return self.folder / f"{self.source.name}.json"

    @property
    def spool(self) -> Path:
        """Features on their way to the sequence model, so that memory stays flat."""
        return self.folder / f".{self.source.name}.json.features.h5"

    @property
    def ethogram_csv(self) -> Path:
        """The answer."""
        return self.folder / f"{self.source.name}.ethogram.csv"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the models say about a recording."""

    ethogram: Ethogram
    probabilities: np.ndarray
    """(T, K)."""
    unlike_training: list[str]
    """What makes it unlike the videos that the models learned from."""


def heed_facts(source: Path, facts: Facts | None) -> Facts:
    """The facts that matter for a recording: pixels say their size and rate themselves."""
    return facts if facts is not None and holds_pose(source) else Facts()


def read_result(target: Target, maker: Maker) -> VideoResult | None:
    """What an earlier call made of the same recording in the same way; None if it is to do.

    Raises:
        InputError: It was made in another way.
    """
    if not target.stamp.is_file():
        return None
    record = json.loads(target.stamp.read_text("utf-8"))
    if other := _find_difference(record, target, maker):
        raise InputError(
            f"{target.source.name} was predicted {other}",
            where=target.stamp,
            do="add --overwrite to replace it, or choose another folder with --out",
        )
    if record["sha256"] != target.sha256 or not target.ethogram_csv.is_file():
        return None
    return VideoResult(
        target.source,
        "skipped",
        record["num_frames"],
        0.0,
        target.ethogram_csv,
        record["share"],
        record["unlike_training"],
    )


def write_result(target: Target, maker: Maker, answer: Answer, seconds: float) -> VideoResult:
    """Tables, picture, and at last the stamp."""
    ethogram = answer.ethogram
    num_frames = len(ethogram.values)
    _write_outputs(answer, maker.decision, target)
    means = ethogram.values.mean(axis=0).tolist()
    share = dict(zip(maker.decision.behaviors, means, strict=True))
    record = {
        "recording": target.source.name,
        "sha256": target.sha256,
        **_describe(target, maker),
        "num_frames": num_frames,
        "fps": ethogram.fps,
        "seconds": round(seconds, 3),
        "share": share,
        "unlike_training": answer.unlike_training,
        **maker.decision.to_dict(),
    }
    write_bytes(target.stamp, json.dumps(record, ensure_ascii=False, indent=1).encode())
    return VideoResult(
        target.source,
        "done",
        num_frames,
        seconds,
        target.ethogram_csv,
        share,
        answer.unlike_training,
    )


def refuse_same_names(recordings: Sequence[tuple[Path, Path]]) -> None:
    """Two recordings must not have the same place in an output folder.

    Args:
        recordings: Each with its folder relative to the output.
    """
    seen: dict[tuple[Path, str], Path] = {}
    for path, relative in recordings:
        other = seen.setdefault((relative, path.name), path)
        if other != path:
            raise InputError(
                f"two recordings are called {path.name}, their results would overwrite each other",
                where=f"{other} and {path}",
                do="give the folder that holds both, or leave --out away",
            )


def _describe(target: Target, maker: Maker) -> dict[str, Any]:
    return {
        "run": maker.run,
        "rater": maker.rater,
        "exact": maker.exact,
        "precision": maker.precision,
        "facts": dataclasses.asdict(target.facts),
    }


def _find_difference(record: Mapping[str, Any], target: Target, maker: Maker) -> str | None:
    """In what other way the files were made, in words; None if in none."""
    now = _describe(target, maker)
    if missing := [name for name in now if name not in record]:
        return f"by an older version, which did not note its {', '.join(missing)}"
    if record["run"] != maker.run:
        return f"by another run, {record['run']}"
    if record["thresholds"] != maker.decision.to_dict()["thresholds"]:
        return "with other thresholds"
    if record["rater"] != maker.rater:
        return f"as rater {record['rater']} would score it, not {maker.rater}"
    if record["exact"] != maker.exact and record["precision"] != maker.precision:
        with_exact = "with" if record["exact"] else "without"
        return f"{with_exact} --exact, in {record['precision']} instead of {maker.precision}"
    if record["facts"] != now["facts"]:
        return f"with another --fps or --size: {record['facts']}"
    return None


def _write_outputs(answer: Answer, decision: Decision, target: Target) -> None:
    ethogram, probabilities = answer.ethogram, answer.probabilities
    target.folder.mkdir(parents=True, exist_ok=True)
    stem = str(target.folder / target.source.name)
    write_probabilities_csv(probabilities, decision.behaviors, Path(f"{stem}.probabilities.csv"))
    write_bouts_csv(find_bouts(ethogram), ethogram.fps, Path(f"{stem}.bouts.csv"))
    plot_raster(None, ethogram, probabilities, decision.thresholds, Path(f"{stem}.ethogram.png"))
    write_csv(ethogram, target.ethogram_csv)
