"""What extraction left of a project: read in stretches, and turned into probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pixelethogram.errors import InputError
from pixelethogram.features.models.keypoints import KeypointsConfig
from pixelethogram.project import Project, Video
from pixelethogram.runs import Run, find_runs, latest_run
from pixelethogram.sequence.heads import choose_head
from pixelethogram.sequence.predict import predict_probabilities
from pixelethogram.sequence.windows import SequenceModel
from pixelethogram.splits import Segment
from pixelethogram.store import ArrayReader, array_file

LeftOut = Sequence[tuple[SequenceModel, Sequence[Segment]]]
"""Members of an ensemble, and the stretches that each did not learn from."""


def read_features(
    video: Video, run: Run, name: str, start: int = 0, stop: int | None = None
) -> np.ndarray:
    """Rows `start` to `stop` of an array that extraction left.

    Args:
        video: A video of the project.
        run: A features run of the project.
        name: features, logits, spatial_logits or flow_logits.
        start: First frame.
        stop: Frame after the last; None reads to the end.

    Raises:
        InputError: The video has no features of this run yet, or they were made of another
            recording or other weights.
    """
    with open_features(video, run) as arrays:
        return arrays.read(name, start, stop)


def list_features(video: Video, run: Run) -> list[str]:
    """Names of the arrays that extraction left; a network of one stream leaves fewer.

    Raises:
        InputError: The video has no features of this run yet, or they were made of another
            recording or other weights.
    """
    with open_features(video, run) as arrays:
        return arrays.names


def predict_cached(
    video: Video, features_run: Run, model: SequenceModel, *, exclusive: bool
) -> np.ndarray:
    """Probabilities (T, K) of a project video from its features, as its rater would answer."""
    return predict_probabilities(
        choose_head(model, video.rater),
        lambda start, stop: read_features(video, features_run, "features", start, stop),
        video.num_frames,
        exclusive=exclusive,
    )


def predict_unlearned(
    video: Video,
    features_run: Run,
    model: SequenceModel,
    left_out: LeftOut,
    *,
    exclusive: bool,
) -> np.ndarray:
    """Probabilities (T, K) of a project video, to be judged.

    Args:
        video: A video of the project.
        features_run: Where its features come from.
        model: Predicts every frame that nobody left out.
        left_out: Members of an ensemble, and the stretches that each did not learn from and
            predicts; see `Ensemble.pair`. Empty for a single model.
        exclusive: At most one behavior per frame.
    """
    probabilities = predict_cached(video, features_run, model, exclusive=exclusive)
    for member, segments in left_out:
        inside = [each for each in segments if each.video == video.name]
        if not inside:
            continue
        of_member = predict_cached(video, features_run, member, exclusive=exclusive)
        for each in inside:
            probabilities[each.start : each.stop] = of_member[each.start : each.stop]
    return probabilities


def find_precisions(videos: Iterable[Video], run: Run) -> list[str]:
    """Number formats that the features of videos were computed in; one, unless they are mixed."""
    found = set()
    for video in videos:
        with open_features(video, run) as arrays:
            found.add(str(arrays.attribute("precision")))
    return sorted(found)


def describe_mismatch(found: Sequence[str], run: Run) -> str | None:
    """A warning where features were computed in another number format than was learned from.

    Args:
        found: Formats of the features to predict from.
        run: A sequence run; of one that did not note its format nothing is known.
    """
    results = run.results
    learned = results.get("features_precision", found)
    if set(found) <= set(learned):
        return None
    return (
        f"warning: the sequence model learned from {' and '.join(learned)} features, these are "
        f"{' and '.join(found)}; probabilities may differ by a hundredth. To have them alike: "
        "pixelethogram extract PROJECT --overwrite (with --exact: fp32), then train sequence"
    )


@contextlib.contextmanager
def open_features(video: Video, run: Run) -> Iterator[ArrayReader]:
    """The file that extraction left.

    Raises:
        InputError: The video has no features of this run yet, or they were made of another
            recording or other weights.
    """
    path = array_file(video.arrays, "features", run.id)
    if not path.exists():
        raise InputError(
            f"{video.name} has no features of run {run.id}", where=path, do=_remedy(run)
        )
    with ArrayReader(path, video.num_frames) as arrays:
        _refuse_other_origin(arrays, video, run)
        yield arrays


def _refuse_other_origin(arrays: ArrayReader, video: Video, run: Run) -> None:
    origins = {
        "video_sha256": (video.input_sha256(run.config.frames), "of another recording"),
        "weights_sha256": (run.results["weights_sha256"], "with other weights"),
    }
    if isinstance(run.config.features.model, KeypointsConfig):
        origins["pose_sha256"] = (video.pose_sha256 or "none", "of another pose")
    for name, (expected, other) in origins.items():
        if arrays.attribute(name) != expected:
            raise InputError(
                f"the features of {video.name} were made {other}: another {name}",
                where=arrays.path,
                why="the video or the run was replaced after extraction",
                do=_remedy(run, " --overwrite"),
            )


def _remedy(run: Run, option: str = "") -> str:
    """The command that helps where features of a run are missing or stale."""
    project = run.folder.parents[2]
    newest = latest_run(project / "runs", "features")
    if newest.id == run.id:
        return f'pixelethogram extract "{project}"{option}'
    return f'a newer features run exists, so: pixelethogram train sequence "{project}"'


def find_num_features(project: Project) -> int | None:
    """D, of a video whose features the newest features run has left."""
    for run in find_runs(project.runs, "features")[-1:]:
        for video in project.videos():
            if array_file(video.arrays, "features", run.id).exists():
                return read_features(video, run, "features", 0, 1).shape[1]
    return None
