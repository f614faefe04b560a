"""What became of each recording of a batch: lines, tables, and how long the rest will take."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import UsageError
from pixelethogram.progress import Progress, format_count, format_seconds

Item = TypeVar("Item")
FOLDERS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What became of one recording."""

    source: Path
    status: str
    """done, skipped (was done before) or failed."""
    num_frames: int = 0
    seconds: float = 0.0
    ethogram_csv: Path | None = None
    share: dict[str, float] = dataclasses.field(default_factory=dict)
    """Behavior -> share of frames on which it is present."""
    unlike_training: list[str] = dataclasses.field(default_factory=list)
    """What makes it unlike the videos that the model learned from."""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = dataclasses.asdict(self)
        return {**plain, "source": str(self.source), "ethogram_csv": str(self.ethogram_csv or "")}

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> VideoResult:
        """The inverse of `to_dict`."""
        ethogram_csv = Path(plain["ethogram_csv"]) if plain["ethogram_csv"] else None
        return VideoResult(
            **{**plain, "source": Path(plain["source"]), "ethogram_csv": ethogram_csv}
        )

    def describe(self) -> str:
        """A few words."""
        if self.status == "failed":
            return f"failed: {self.error}"
        if self.status == "skipped":
            return "done before, skipped"
        text = f"{format_count(self.num_frames, 'frame')} at {self.num_frames / self.seconds:.1f}/s"
        unusual = [f"\n  unlike the training videos: {each}" for each in self.unlike_training]
        return text + "".join(unusual)


class Tally:
    """Collects results and says, after each, how far the batch is and how long the rest will take.

    Time left goes by bytes: the number of frames is only known once a recording was read.

    Args:
        sources: All recordings of the batch.
        progress: Is told a line per recording.
        tell: Is given every result too.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        progress: Progress,
        tell: Callable[[VideoResult], None] | None = None,
    ) -> None:
        self.results: list[VideoResult] = []
        self._sizes = {source: count_bytes(source) for source in sources}
        self._left = sum(self._sizes.values())
        self._worked, self._started = 0, time.monotonic()
        self._progress, self._tell = progress, tell

    def add(self, result: VideoResult) -> None:
        """Note a result and say so."""
        self.results.append(result)
        size = self._sizes[result.source]
        self._left -= size
        line = f"[{len(self.results)}/{len(self._sizes)}] {result.source.name}: {result.describe()}"
        if result.status == "done":
            self._worked += size
            elapsed = time.monotonic() - self._started
            if self._left and self._worked:
                left = elapsed / self._worked * self._left
                line += f"; about {format_seconds(left)} left for all"
        self._progress.message(line)
        if self._tell is not None:
            self._tell(result)


def count_bytes(source: Path) -> int:
    """Size of a recording on disk; of all files where it is a folder."""
    if source.is_dir():
        return sum(path.stat().st_size for path in source.iterdir() if path.is_file())
    return source.stat().st_size


def parse_shard(text: str) -> tuple[int, int]:
    """Number of a part, from 1, and of all parts, of text such as 3/8.

    Raises:
        UsageError: It is nothing like that.
    """
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise UsageError(
        f'"{text}" is not a part of a whole', do="write it like 3/8: the third of eight parts"
    )


def take_shard(items: Sequence[Item], shard: tuple[int, int]) -> list[Item]:
    """Every n-th item, so that all parts together hold each item once.

    Example:
        >>> [take_shard("abcde", (number, 2)) for number in (1, 2)]
        [['a', 'c', 'e'], ['b', 'd']]
    """
    number, of = shard
    return list(items[number - 1 :: of])


def write_summary(results: Sequence[VideoResult], behaviors: Sequence[str], path: Path) -> None:
    """One CSV line per recording: status, frames, share of frames of each behavior, error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recording", "status", "frames", *behaviors, "error"])
    for result in results:
        shares = [f"{result.share[name]:.4f}" if result.share else "" for name in behaviors]
        error = result.error.splitlines()[0] if result.error else ""
        writer.writerow([result.source, result.status, result.num_frames, *shares, error])
    write_bytes(path, text.getvalue().encode())


def describe_places(results: Iterable[VideoResult], output: Path | None) -> list[str]:
    """Lines that say in which folders the results lie; none where nothing was made.

    Args:
        results: Of the batch.
        output: Folder that holds all of them; None: each lies beside its recording.
    """
    folders = {each.ethogram_csv.parent: None for each in results if each.ethogram_csv}
    if output is not None and folders:
        folders = {output: None}
    more = len(folders) - FOLDERS_SHOWN
    lines = [f"results: {folder}" for folder in list(folders)[:FOLDERS_SHOWN]]
    return lines + ([f"results: {format_count(more, 'folder')} more"] if more > 0 else [])


def summary_rows(results: Iterable[VideoResult], behaviors: Sequence[str]) -> list[list[Any]]:
    """Rows (recording, status, frames, frames/s, share of each behavior) of the summary table."""
    return [
        [
            str(result.source),
            result.status,
            result.num_frames or None,
            result.num_frames / result.seconds if result.seconds else None,
            *(result.share.get(behavior) for behavior in behaviors),
        ]
        for result in results
    ]
