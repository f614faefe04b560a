"""Runs: what counts as finished, which is the newest, and files that are whole or not there."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pixelethogram import runs as runs_module
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.runs import (
    Run,
    Stage,
    find_runs,
    finish_run,
    latest_run,
    read_yaml,
    start_run,
    write_bytes,
    write_yaml,
)

CONFIG = load_config(overrides=["frames.height=64"])


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Run]:
    """Start a run in tmp_path/runs."""

    def start(stage: Stage = "flow", **changes: Any) -> Run:
        known = {"behaviors": ("groom",), "exclusive": False, "parents": {}, "videos": {}}
        return start_run(
            tmp_path / "runs", stage, CONFIG, **{**known, "fingerprint": "abc", **changes}
        )

    return start


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the time at which runs start."""

    def set_clock(*time: int) -> None:
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return datetime.datetime(*time, tzinfo=datetime.timezone.utc)

        monkeypatch.setattr(runs_module.datetime, "datetime", Clock)

    return set_clock


def write_half(run: Run, name: str) -> None:
    """What a kill in the middle of writing a file leaves."""
    (run.folder / f".{name}.123.tmp").write_bytes(b"half")


def test_a_run_remembers_all_it_was_started_with(start: Callable[..., Run]) -> None:
    run = start(
        "sequence",
        behaviors=("lève-toi", "2"),
        exclusive=True,
        parents={"flow": "a", "features": "b"},
        videos={"train": ["one", "two"], "val": []},
    )
    again = Run(run.folder)
    assert again.stage == "sequence"
    assert again.behaviors == ("lève-toi", "2")
    assert again.exclusive
    assert again.config == CONFIG
    assert again.record["parents"] == {"flow": "a", "features": "b"}
    assert again.record["videos"] == {"train": ["one", "two"], "val": []}
    assert again.record["fingerprint"] == "abc"
    assert again.record["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert again.checkpoints.is_dir()


def test_a_half_written_run_does_not_exist(start: Callable[..., Run]) -> None:
    run = start()
    runs = run.folder.parents[1]
    write_bytes(run.folder / "weights.pt", b"weights")
    write_half(run, "results.yaml")
    assert not run.finished
    assert find_runs(runs, "flow") == []
    assert find_runs(runs, "flow", finished=False) == [run]
    with pytest.raises(InputError, match="no finished flow run"):
        latest_run(runs, "flow")


def test_a_folder_without_run_yaml_is_no_run(start: Callable[..., Run]) -> None:
    run = start()
    (run.folder / "run.yaml").unlink()
    assert find_runs(run.folder.parents[1], "flow", finished=False) == []


def test_a_finished_run_counts_and_gives_its_weights_back(start: Callable[..., Run]) -> None:
    run = start()
    weights = {"layer.weight": torch.randn(3, 4, requires_grad=True)}
    finish_run(run, weights, {"macro_f1": 0.5})
    assert run.finished
    assert find_runs(run.folder.parents[1], "flow") == [run]
    assert find_runs(run.folder.parents[1], "flow", finished=False) == []
    torch.testing.assert_close(run.load_weights(), {"layer.weight": weights["layer.weight"].data})
    data = (run.folder / "weights.pt").read_bytes()
    assert run.results["macro_f1"] == 0.5
    assert run.results["weights_sha256"] == hashlib.sha256(data).hexdigest()


def test_results_are_written_after_the_weights(
    start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(runs_module, "write_bytes", full)
    with pytest.raises(OSError, match=r"weights\.pt"):
        finish_run(run, {"weight": torch.zeros(1)}, {})
    assert not run.finished


def test_latest_run_is_the_newest_finished_one_of_its_stage(
    start: Callable[..., Run], clock: Callable[..., None]
) -> None:
    started = []
    for day in (1, 2, 3):
        clock(2026, 11, day)
        started.append(start())
    clock(2026, 12, 1)
    features = start("features")
    for run in (started[1], started[0], features):
        finish_run(run, {}, {})
    assert latest_run(features.folder.parents[1], "flow") == started[1]


def test_ids_sort_by_time_even_within_a_second(
    start: Callable[..., Run], clock: Callable[..., None]
) -> None:
    times = [
        (2026, 1, 2, 3, 4, 5, 0),
        (2026, 1, 2, 3, 4, 5, 16),
        (2026, 1, 2, 3, 4, 5, 70_000),
        (2026, 1, 2, 3, 4, 5, 999_999),
        (2026, 1, 2, 3, 4, 6, 1),
        (2026, 1, 2, 13, 0, 0, 0),
        (2026, 10, 1, 0, 0, 0, 0),
    ]
    ids = []
    for time in times:
        clock(*time)
        ids.append(start().id)
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d_\d{6}_[0-9a-f]{4}", name) for name in ids)


def test_two_runs_never_share_a_folder(
    start: Callable[..., Run], clock: Callable[..., None]
) -> None:
    clock(2026, 1, 2)
    start()
    with pytest.raises(FileExistsError):
        start()


def test_no_finished_run_says_which_stage_to_train(tmp_path: Path) -> None:
    runs = tmp_path / "my project" / "runs"
    with pytest.raises(InputError) as caught:
        latest_run(runs, "features")
    assert caught.value.exit_code == 3
    assert "no finished features run" in str(caught.value)
    assert f"pixelethogram train features {runs.parent}" in str(caught.value)


def test_a_parent_is_found_beside_its_child_wherever_the_project_lies(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    flow = start()
    finish_run(flow, {}, {})
    features = start("features", parents={"flow": flow.id})
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = Run(tmp_path / "moved" / "features" / features.id)
    assert moved.parent("flow") == Run(tmp_path / "moved" / "flow" / flow.id)


@pytest.mark.parametrize("exists", [False, True], ids=["gone", "unfinished"])
def test_a_parent_that_is_not_there_is_named(start: Callable[..., Run], exists: bool) -> None:
    parent = start().id if exists else "2026-01-01_000000_0000"
    run = start("features", parents={"flow": parent})
    with pytest.raises(InputError, match=f"needs flow run {parent}"):
        run.parent("flow")


def test_yaml_comes_back_as_it_was_written(tmp_path: Path) -> None:
    content = {"z": 1, "a": ["Käse, 3 µm", None, 0.25], "n": {"deep": True}}
    write_yaml(tmp_path / "file.yaml", content)
    assert read_yaml(tmp_path / "file.yaml") == content
    assert list(read_yaml(tmp_path / "file.yaml")) == ["z", "a", "n"]
    assert "Käse, 3 µm" in (tmp_path / "file.yaml").read_text("utf-8")


@pytest.mark.parametrize("data", [b"a: [1,", b"\xff\xfe\x00", None])
def test_yaml_that_cannot_be_read_is_named(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "run.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"run\.yaml is (missing|not valid YAML)"):
        read_yaml(path)
