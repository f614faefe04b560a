"""A process per device: together they do every video once; one that breaks off is named."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pixelethogram.errors import ResourceError
from pixelethogram.parallel_prediction import predict_on_devices
from pixelethogram.progress import SilentProgress
from pixelethogram.project import Project
from pixelethogram.runs import latest_run
from pixelethogram.toy import make_toy_video
from pixelethogram.video_results import VideoResult

CONFTEST = Path(__file__).resolve().parent / "conftest.py"
PROGRAM = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("conftest", {str(CONFTEST)!r})
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
conftest.use_small_streams(setattr)
from pixelethogram.cli import main
main()
"""


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    make_toy_video(folder / "0.mp4", 0, num_frames=12, size=32)
    for number in (1, 2):
        shutil.copy(folder / "0.mp4", folder / f"{number}.mp4")
    (folder / "3.mp4").write_bytes(b"no video")
    return folder


def predict(
    project: Project, videos: Path, out: Path, devices: list[str], told: list[VideoResult]
) -> list[VideoResult]:
    return predict_on_devices(
        latest_run(project.runs, "sequence").folder,
        [videos],
        out,
        devices,
        options=["--exact"],
        shard=(1, 1),
        progress=SilentProgress(),
        tell=told.append,
        program=[sys.executable, "-c", PROGRAM],
    )


def test_two_processes_share_the_videos(
    trained_project: Project, videos: Path, tmp_path: Path
) -> None:
    told: list[VideoResult] = []
    results = predict(trained_project, videos, tmp_path / "out", ["cpu", "cpu"], told)
    assert told == results
    found = {result.source.name: result.status for result in results}
    assert found == {"0.mp4": "done", "1.mp4": "done", "2.mp4": "done", "3.mp4": "failed"}
    for name in ("0.mp4", "1.mp4", "2.mp4"):
        assert (tmp_path / "out" / f"{name}.ethogram.csv").is_file()


def test_a_process_that_breaks_off_is_named(
    trained_project: Project, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ResourceError, match="broke off on warp"):
        predict(trained_project, videos, tmp_path / "out", ["cpu", "warp"], [])
