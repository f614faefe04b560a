"""What `evaluate` shows and keeps, on a trained project."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pixelethogram.errors import InputError
from pixelethogram.project import Project
from pixelethogram.repeated_splits import RepeatedScore
from pixelethogram.runs import latest_run
from pixelethogram.stages import Job
from pixelethogram.threshold_table import table_path
from pixelethogram.verdict import judge_project


def test_two_tables_by_default_and_every_metric_when_asked(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    verdict = judge_project(make_job(project_copy), None)
    tables = verdict.tables(None, full=False)
    assert [title for title, _, _ in tables] == [
        "scores on the test part, 1 video",
        "sequence model by behavior",
    ]
    full = verdict.tables(None, full=True)
    assert len(full) == 2 + 4 + 2
    for _, columns, rows in full:
        assert {len(row) for row in rows} == {len(columns)}
    title, _, rows = full[-1]
    assert title.startswith("thresholds")
    assert all(low <= high for _, _, low, high in rows)


def test_every_number_is_kept_beside_the_run(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    import numpy as np

    verdict = judge_project(make_job(project_copy), None)
    verdict.write(
        [
            RepeatedScore("all frames that judge", np.ones((3, 4))),
            RepeatedScore("unseen", np.ones((2, 4)), "features"),
        ]
    )
    folder = latest_run(project_copy.runs, "sequence").folder
    assert (folder / "evaluation.csv").read_text("utf-8").startswith("predictor,slice,metric")
    kept = json.loads((folder / "evaluation.json").read_text("utf-8"))
    assert set(kept["judgements"]) == {"sequence", "features", "spatial stream", "flow stream"}
    repeated = kept["repeated_splits"]
    assert repeated["all frames that judge"]["mean"] == 1
    assert [each["retrained"] for each in repeated.values()] == ["sequence", "features"]
    plain = verdict.to_dict([])
    assert set(plain["sequence"]) == {"val", "test"}
    json.dumps(plain, allow_nan=False)


def test_slices_divide_the_videos_that_judge(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    with pytest.raises(InputError, match=r"videos\.csv"):
        judge_project(make_job(project_copy), "sex")
    (tested,) = {each.video for each in project_copy.splits["test"]}
    others = [video.name for video in project_copy.videos() if video.name != tested]
    rows = [f"{tested},f", *(f"{name},m" for name in others)]
    (project_copy.folder / "videos.csv").write_text("\n".join(["video,sex", *rows]), "utf-8")
    verdict = judge_project(make_job(project_copy), "sex")
    title, columns, found = verdict.tables("sex", full=False)[-1]
    assert (title, columns[0]) == ("by sex", "sex")
    assert [row[:2] for row in found] == [["f", 1]]


def test_slices_without_a_video_that_judges_are_named(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    (tested,) = {each.video for each in project_copy.splits["test"]}
    others = [video.name for video in project_copy.videos() if video.name != tested]
    rows = [f"{tested},f", f"{others[0]},m", f"{others[1]},"]
    (project_copy.folder / "videos.csv").write_text("\n".join(["video,sex", *rows]), "utf-8")
    verdict = judge_project(make_job(project_copy), "sex")
    said = "not judged, as no scored frame of the test part has it: m, (unknown)"
    assert said in verdict.notes()
    assert verdict.to_dict([])["not_judged"] == ["m", "(unknown)"]
    whole = judge_project(make_job(project_copy), None)
    assert not any("not judged" in line for line in whole.notes())


def test_thresholds_set_by_hand_are_used_and_said(
    project_copy: Project, make_job: Callable[..., Job]
) -> None:
    before = judge_project(make_job(project_copy), None)
    assert not any("by hand" in line for line in before.notes())
    path = table_path(before.run)
    lines = path.read_text("utf-8").splitlines()
    name, _, *rest = lines[1].split(",")
    path.write_text("\n".join([lines[0], ",".join([name, "0.999999", *rest]), *lines[2:]]), "utf-8")
    after = judge_project(make_job(project_copy), None)
    assert any(f"{name} 1 (chosen" in line for line in after.notes())
    assert after.evaluations["sequence"].final.scores.recall[0] == 0
