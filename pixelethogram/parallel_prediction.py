"""Prediction on several devices at once: a process for each, every one with a part of the videos.

The processes are `pixelethogram predict --shard`, as in a job array; what they say per video comes
back as lines of JSON. So a device that runs out of memory, or a process that is killed, costs its
own videos only, and running the same command again does those.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from pixelethogram.errors import ResourceError
from pixelethogram.frames.source import find_recordings
from pixelethogram.progress import Progress
from pixelethogram.video_results import Tally, VideoResult, take_shard

PROGRAM = (sys.executable, "-m", "pixelethogram")
FINE = (0, 5)  # done, and done but for some videos


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
        ResourceError: A process broke off; the results of the others are kept on disk.
    """
    recordings = take_shard([source for source, _ in find_recordings(sources)], shard)
    tally = Tally(recordings, progress, tell)
    part, of = shard
    said: queue.Queue[dict[str, Any] | None] = queue.Queue()
    with contextlib.ExitStack() as stack:
        processes = []
        for number, device in enumerate(devices):
            own = f"{part + number * of}/{of * len(devices)}"
            words = [*program, "predict", str(run), *map(str, sources), *options]
            words += ["--device", device, "--shard", own, "--json-lines"]
            words += ["--out", str(output)] if output else []
            process = stack.enter_context(_running(words))
            threading.Thread(target=_listen, args=(process.stdout, said), daemon=True).start()
            processes.append(process)
        for _ in processes:
            while (line := said.get()) is not None:
                tally.add(VideoResult.from_dict(line))
        broken = [
            device
            for device, process in zip(devices, processes, strict=True)
            if process.wait() not in FINE
        ]
    if broken:
        raise ResourceError(
            f"prediction broke off on {', '.join(broken)}",
            why="what its process said stands above",
            do="run the same command again; what is finished is kept",
        )
    return tally.results


@contextlib.contextmanager
def _running(words: Sequence[str]) -> Any:
    """A process that does not outlive the block."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _listen(lines: IO[str], said: queue.Queue[dict[str, Any] | None]) -> None:
    """Pass on what a process says about videos, then None."""
    for line in lines:
        said.put(json.loads(line))
    said.put(None)
