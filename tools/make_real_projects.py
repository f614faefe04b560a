"""Write the real recordings as a user would have them: a folder of videos, labels beside each.

    python tools/make_real_projects.py ../shared/data OUT [--fish h240]

makes OUT/mabe_triplet (one video, four behaviors, several at a time) and OUT/fish (ten clips, bite
or lateral, never both: an exclusive project; groups.csv names the session of each clip). A video
`x.mp4` has its labels in `x.labels.csv`. Nothing in OUT is overwritten but these files.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import av
import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv

MABE_BEHAVIORS = ("contact", "oral_oral", "oral_genital", "moving")
FISH_BEHAVIORS = ("bite", "lateral")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with mabe_triplet/ and fish_clips/")
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--fish", choices=("sq128", "h240", "sq64"), default="sq128")
    arguments = parser.parse_args()
    write_mabe_triplet(arguments.data / "mabe_triplet", arguments.out / "mabe_triplet")
    write_fish(arguments.data / "fish_clips", arguments.fish, arguments.out / "fish")


def write_mabe_triplet(source: Path, out: Path) -> None:
    """Three mice, 1,800 frames."""
    with np.load(source / "triplet.npz") as arrays:
        labels = arrays["labels_programmatic"].astype(np.int8)
    write_labelled_video(source / "video_256.mp4", labels, MABE_BEHAVIORS, out / "video.mp4")


def write_fish(source: Path, variant: str, out: Path) -> None:
    """Ten clips of two fish; each frame has the label of its clip."""
    with (source / "labels.csv").open(newline="", encoding="utf-8") as file:
        clips = list(csv.DictReader(file))
    for clip in clips:
        one_hot = np.array([clip["label"] == behavior for behavior in FISH_BEHAVIORS], np.int8)
        labels = np.tile(one_hot, (int(clip["n_frames"]), 1))
        name = f"{clip['clip_id']}.mp4"
        write_labelled_video(source / variant / name, labels, FISH_BEHAVIORS, out / name)
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "group"))
        rows.writerows((f"{clip['clip_id']}.mp4", clip["session"]) for clip in clips)


def write_labelled_video(
    source: Path, labels: np.ndarray, behaviors: tuple[str, ...], out: Path
) -> None:
    """Copy a video and write its (T, K) labels beside it, if it has T frames."""
    num_frames, fps = count_frames(source)
    if num_frames != len(labels):
        raise InputError(f"{num_frames} frames, but {len(labels)} labels", where=source)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, out)
    write_csv(Ethogram(labels, behaviors, fps), out.with_suffix(".labels.csv"))
    print(f"{out}: {num_frames} frames, " + ", ".join(map(share, behaviors, labels.T)))


def count_frames(path: Path) -> tuple[int, float]:
    """Number of frames that decode, and frames per second."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        if rate is None:
            raise InputError("no frame rate", where=path)
        return sum(1 for _ in container.decode(video=0)), float(rate)


def share(behavior: str, labels: np.ndarray) -> str:
    """Behavior and the percentage of frames that have it."""
    return f"{behavior} {labels.mean():.0%}"


if __name__ == "__main__":
    main()
