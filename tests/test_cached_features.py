"""Features that extraction left: stretches of them, their names, and what to do when they miss."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest

from pixelethogram.cached_features import list_features, predict_cached, read_features
from pixelethogram.errors import InputError
from pixelethogram.project import Project, Video
from pixelethogram.project_evaluation import evaluate_project, read_probabilities
from pixelethogram.runs import Run, latest_run
from pixelethogram.sequence.train import load_sequence
from pixelethogram.stages import Job
from pixelethogram.store import ArrayReader, ArrayWriter, array_file

MakeJob = Callable[..., Job]


def features_run(project: Project) -> Run:
    return latest_run(project.runs, "features")


def origin_of(video: Video, run: Run) -> dict[str, str]:
    """What extraction says in a file about where it came from."""
    weights = run.results["weights_sha256"]
    return {"run": run.id, "video_sha256": video.sha256, "weights_sha256": weights}


def test_a_stretch_is_cut_out_of_the_whole(trained_project: Project) -> None:
    video, run = trained_project.videos()[0], features_run(trained_project)
    whole = read_features(video, run, "features")
    assert len(whole) == video.num_frames
    assert np.array_equal(read_features(video, run, "features", 7, 20), whole[7:20])


def test_a_network_of_two_streams_leaves_the_logits_of_each(trained_project: Project) -> None:
    names = list_features(trained_project.videos()[0], features_run(trained_project))
    assert set(names) == {"features", "logits", "spatial_logits", "flow_logits"}


def test_cached_features_give_the_probabilities_of_the_project(trained_project: Project) -> None:
    video, run = trained_project.videos()[0], latest_run(trained_project.runs, "sequence")
    found = predict_cached(
        video, features_run(trained_project), load_sequence(run), exclusive=run.exclusive
    )
    assert np.allclose(found, read_probabilities(video, run), atol=1e-6)


def test_missing_features_name_the_command_that_makes_them(project_copy: Project) -> None:
    video, run = project_copy.videos()[0], features_run(project_copy)
    array_file(video.folder, "features", run.id).unlink()
    for read in (lambda: read_features(video, run, "features"), lambda: list_features(video, run)):
        with pytest.raises(InputError, match="pixelethogram extract"):
            read()


@pytest.mark.parametrize("name", ["video_sha256", "weights_sha256"])
@pytest.mark.parametrize("value", ["another", None])
def test_features_of_another_recording_or_other_weights_are_refused(
    name: str, value: str | None, project_copy: Project
) -> None:
    video, run = project_copy.videos()[0], features_run(project_copy)
    with h5py.File(array_file(video.folder, "features", run.id), "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    for read in (lambda: read_features(video, run, "features"), lambda: list_features(video, run)):
        with pytest.raises(InputError, match=f"another {name}") as refusal:
            read()
        assert "pixelethogram extract" in str(refusal.value.do)
        assert "--overwrite" in str(refusal.value.do)


def test_a_network_of_one_stream_is_evaluated_without_the_rows_of_two(
    project_copy: Project, make_job: MakeJob
) -> None:
    run = features_run(project_copy)
    for video in project_copy.videos():
        path = array_file(video.folder, "features", run.id)
        with ArrayReader(path) as arrays:
            kept = {name: arrays.read(name) for name in ("features", "logits")}
        with ArrayWriter(path, origin_of(video, run)) as writer:
            writer.append(**kept)
            writer.finish()
    assert set(evaluate_project(make_job(project_copy))) == {"sequence", "features"}
