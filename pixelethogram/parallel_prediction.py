"""Prediction on several devices at once: a process for each, every one with a part of the videos.

The processes are `pixelethogram predict --shard`, as in a job array; what they say per video comes
back as lines of JSON. So a device that runs out of memory, or a process that is killed, costs its
own videos only, and running the same command again does those.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from pixelethogram.errors import ResourceError
from pixelethogram.frames.source import find_recordings
from pixelethogram.predicted_files import refuse_same_names
from pixelethogram.progress import Progress
from pixelethogram.video_results import Tally, VideoResult, take_shard

PROGRAM = (sys.executable, "-m", "pixelethogram")
SHOWN = 5
FINE = (0, 5)  # done, and done but for some videos

Said = VideoResult | str | None
"""A result; a line that is none; None at the end of what a process says."""


def predict_on_devices(
    run: Path,
    sources: Sequence[Path],
    output: Path | None,
    devices: Sequence[str],
    *,
    options: Sequence[str],
    shard: tuple[int, int],
    progress: Progress,
    tell: Callable[[VideoResult], None] | None = None,
    program: Sequence[str] = PROGRAM,
) -> list[VideoResult]:
    """Ethograms of many recordings, see `inference.predict_videos`.

    Args:
        run: Folder of the sequence run.
        sources: Recordings and folders of recordings.
        output: Folder for the results.
        devices: One process for each; the same one may be named more than once.
        options: More options for `pixelethogram predict`.
        shard: Which part of the recordings, from 1, and of how many.
        progress: Told a line per recording.
        tell: Is given each result as soon as it is known.
        program: What is run.

    Returns:
        One result per recording of the part, in the order in which they were done.

    Raises:
        InputError: Results of two recordings would overwrite each other.
        ResourceError: A process broke off; the results of the others are kept on disk.
    """
    found = find_recordings(sources)
    if output:
        refuse_same_names(found)
    recordings = take_shard([source for source, _ in found], shard)
    tally = Tally(recordings, progress, tell)
    part, of = shard
    said: queue.Queue[Said] = queue.Queue()
    with contextlib.ExitStack() as stack:
        processes = []
        for number, device in enumerate(devices):
            own = f"{part + number * of}/{of * len(devices)}"
            words = [*program, "predict", str(run), *map(str, sources), *options]
            words += ["--device", device, "--shard", own, "--json-lines", "--no-summary"]
            words += ["--out", str(output)] if output else []
            process = stack.enter_context(_running(words))
            threading.Thread(target=_listen, args=(process.stdout, said), daemon=True).start()
            processes.append(process)
        _collect(said, len(processes), set(recordings), tally, progress)
        broken = [
            device
            for device, process in zip(devices, processes, strict=True)
            if process.wait() not in FINE
        ]
    _refuse_gaps(recordings, tally.results, broken)
    return tally.results


def _collect(
    said: queue.Queue[Said], num_processes: int, known: set[Path], tally: Tally, progress: Progress
) -> None:
    """Results of all processes until the last of them ends; what is no result is shown."""
    while num_processes:
        item = said.get()
        if item is None:
            num_processes -= 1
        elif isinstance(item, VideoResult) and item.source in known:
            tally.add(item)
        else:
            progress.message(f"note: a process said what is no result of a video: {item}")


def _refuse_gaps(
    recordings: Sequence[Path], results: Sequence[VideoResult], broken: Sequence[str]
) -> None:
    if broken:
        raise ResourceError(
            f"prediction broke off on {', '.join(broken)}",
            why="what its process said stands above",
            do="run the same command again; what is finished is kept",
        )
    done = {result.source for result in results}
    if missing := [source.name for source in recordings if source not in done]:
        raise ResourceError(
            f"nothing was said about {len(missing)} of {len(recordings)} videos: "
            f"{', '.join(missing[:SHOWN])}",
            why="the processes ended well, but lines of their output were lost or damaged",
            do="run the same command again; what is finished is kept",
        )


@contextlib.contextmanager
def _running(words: Sequence[str]) -> Any:
    """A process that does not outlive the block."""
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _listen(lines: IO[str], said: queue.Queue[Said]) -> None:
    """Pass on what a process says, then None, whatever happens: somebody waits for it."""
    try:
        for line in lines:
            said.put(_parse(line.rstrip("\n")))
    finally:
        said.put(None)


def _parse(line: str) -> VideoResult | str:
    try:
        return VideoResult.from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return line
