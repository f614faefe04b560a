"""A process per device: together they do every video once; one that breaks off is named."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pixelethogram.errors import InputError, ResourceError
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


def test_the_processes_leave_no_summaries_beside_their_parents(
    trained_project: Project, videos: Path, tmp_path: Path
) -> None:
    predict(trained_project, videos, tmp_path / "out", ["cpu"], [])
    assert list((tmp_path / "out").glob("summary*")) == []


def run_script(script: str, videos: Path, said: list[str]) -> list[VideoResult]:
    """A program that says what a script says, in place of ours."""

    class Listen(SilentProgress):
        def message(self, text: str) -> None:
            said.append(text)

    return predict_on_devices(
        Path("run"), [videos], None, ["cpu"], options=[], shard=(1, 1), progress=Listen(),
        program=[sys.executable, "-c", script],
    )  # fmt: skip


SAY = """
import json, sys
from pathlib import Path
from pixelethogram.video_results import VideoResult
videos = sorted(Path(sys.argv[3]).iterdir())
lines = [VideoResult(video, "skipped").to_line() for video in videos]
"""


def test_a_line_that_is_no_result_is_shown_and_stops_nothing(videos: Path) -> None:
    said: list[str] = []
    script = SAY + "print('a warning of some library'); print('{}'); print('3')\n"
    script += "sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()\n"
    script += "print(chr(10).join(lines))"
    results = run_script(script, videos, said)
    assert [result.status for result in results] == ["skipped"] * 4
    strange = [line for line in said if "no result of a video" in line]
    assert [line.rpartition(": ")[2] for line in strange] == [
        "a warning of some library",
        "{}",
        "3",
        "\N{REPLACEMENT CHARACTER}",
    ]


def test_a_video_that_nothing_was_said_about_is_an_error(videos: Path) -> None:
    with pytest.raises(ResourceError, match=r"nothing was said about 1 of 4 videos: 3\.mp4"):
        run_script(SAY + "print(chr(10).join(lines[:3]))", videos, [])


def test_equal_names_are_refused_before_anything_is_started(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "again")
    sources = [videos / "0.mp4", tmp_path / "again" / "0.mp4"]
    with pytest.raises(InputError, match=r"two recordings are called 0\.mp4"):
        predict_on_devices(
            Path("run"), sources, tmp_path / "out", ["cpu"], options=[], shard=(1, 1),
            progress=SilentProgress(), program=["no such program"],
        )  # fmt: skip


def test_a_process_that_breaks_off_is_named(
    trained_project: Project, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ResourceError, match="broke off on warp"):
        predict(trained_project, videos, tmp_path / "out", ["cpu", "warp"], [])
