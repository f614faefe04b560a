"""Tables of the report say what runs, parts and labels hold."""

from __future__ import annotations

import numpy as np

from pixelethogram.config_layers import load_config
from pixelethogram.project import Project
from pixelethogram.reporting.content import (
    describe_frames,
    file_table,
    find_chain,
    read_curves,
    run_table,
    split_table,
    version_rows,
)
from pixelethogram.runs import latest_run


def test_the_chain_goes_from_flow_to_sequence(trained_project: Project) -> None:
    chain = find_chain(latest_run(trained_project.runs, "sequence"))
    assert [run.stage for run in chain] == ["flow", "features", "sequence"]
    table = run_table(chain)
    assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert [row[2] for row in table["rows"]] == ["tiny_motionnet", "resnet18", "tgm"]
    assert {row[3] for row in table["rows"]} == {"32\u00a0×\u00a032"}
    hashes = dict(version_rows(chain))
    assert hashes["sequence: weights (sha256)"] == chain[-1].results["weights_sha256"]
    assert "torch" in hashes


def test_networks_that_see_keypoints_have_no_size_of_frames() -> None:
    assert describe_frames(load_config("fast", {}, [])) == "256\u00a0×\u00a0256"
    keypoints = load_config("fast", {}, ["features.model.name=keypoints"])
    assert describe_frames(keypoints) == "–"


def test_every_labelled_video_stands_in_its_part_with_its_counts(trained_project: Project) -> None:
    labels = {name: each.values for name, each in trained_project.read_labels().items()}
    table = split_table(trained_project, labels)
    assert sorted(row["video"] for row in table["rows"]) == sorted(labels)
    assert [row["part"] for row in table["rows"]] == ["train", "val", "test"]
    for row in table["rows"]:
        wanted = (labels[row["video"]] == 1).sum(axis=0).tolist()
        assert [cell["count"] for cell in row["cells"]] == wanted
    one = dict(list(labels.items())[:1])
    assert len(split_table(trained_project, one)["unlabelled"]) == 2


def test_curves_and_files_are_listed(trained_project: Project) -> None:
    chain = find_chain(latest_run(trained_project.runs, "sequence"))
    titles = [title for run in chain for title, _, names in read_curves(run) if "loss" in names]
    assert titles == ["flow", "features flow", "features joint", "features spatial", "sequence"]
    labels = {"toy 0": np.zeros((60, 4), np.int8)}
    rows = file_table(trained_project, labels)["rows"]
    assert [row[-1] == "–" for row in rows] == [False, True, True]
    assert rows[0][4] == trained_project.video("toy 0").sha256[:16]
