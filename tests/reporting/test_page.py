"""The page holds everything, loads nothing, and stays small with forty videos."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.project import Project
from pixelethogram.reporting.page import write_report
from pixelethogram.reporting.rasters import to_png
from pixelethogram.runs import latest_run
from pixelethogram.threshold_table import table_path

NUM_VIDEOS, NUM_FRAMES = 40, 1500


class Page(HTMLParser):
    """Collects addresses, identifiers and text; every tag must be closed in order."""

    VOID = frozenset({"meta", "link", "img", "br", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        self.identifiers += [value or "" for key, value in attrs if key == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def large(
    make_large_project: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    return make_large_project(tmp_path_factory.mktemp("large") / "forty", NUM_VIDEOS, NUM_FRAMES)


def test_forty_videos_fit_into_one_small_file_that_loads_nothing(
    large: Project, make_job: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "report.html"
    size = write_report(make_job(large), path)
    assert size == path.stat().st_size < 5_000_000
    text = path.read_text("utf-8")
    page = Page(text)
    assert {each.split(":")[0] for each in page.addresses if not each.startswith("#")} == {"data"}
    links = {each[1:] for each in page.addresses if each.startswith("#")}
    assert links and links <= set(page.identifiers)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|http-equiv=\"refresh", text)
    words = " ".join(page.words)
    assert "How much more to label" not in words
    for name in ("left", "striped", "<video> 39", "Alarms", "worst", "sha256"):
        assert name in words
    assert text.count('class="raster" data-video') == NUM_VIDEOS // 4
    assert text.count("data:image/jpeg") >= 6
    for run in ("flow", "features", "sequence"):
        assert any(run in word for word in page.words)


def test_names_are_text_and_never_tags(large: Project, make_job: Callable, tmp_path: Path) -> None:
    write_report(make_job(large), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<video>" not in text and "&lt;video&gt;" in text


def test_a_toy_project_without_its_recordings_still_has_a_report(
    trained_project: Project, make_job: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(trained_project.folder, folder)
    for path in folder.glob("videos/*/video.yaml"):
        text = path.read_text("utf-8").replace(".mp4", ".gone")
        path.write_text(text, "utf-8")
    write_report(make_job(Project(folder)), tmp_path / "report.html")
    words = " ".join(Page((tmp_path / "report.html").read_text("utf-8")).words)
    assert "No pictures: the recording of" in words
    assert "too few to look for shortcuts" in words


def test_the_learning_curve_is_shown_once_it_was_drawn(
    project_copy: Project, make_job: Callable, tmp_path: Path
) -> None:
    drawn = to_png(np.full((3, 4, 3), 90, np.uint8))
    project_copy.learning_curve_path.write_bytes(base64.b64decode(drawn.split(",")[1]))
    write_report(make_job(project_copy), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert drawn in text and "How much more to label" in text


def test_scores_no_better_than_chance_are_among_the_alarms(
    project_copy: Project, make_job: Callable, tmp_path: Path
) -> None:
    path = table_path(latest_run(project_copy.runs, "sequence"))
    head, *lines = path.read_text("utf-8").splitlines()
    cells = [line.split(",") for line in lines]
    never = [",".join([name, "0.999999", *rest]) for name, _, *rest in cells]
    path.write_text("\n".join([head, *never]), "utf-8")
    write_report(make_job(project_copy), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    said = f"{cells[0][0]}: no better than chance (F1 0.00; 95 % of shifted labels reach at most"
    assert said in text and "<span>video judged" in text


def test_a_project_that_is_not_trained_is_refused(
    make_toy_project: Callable[[Path], Project], make_job: Callable, tmp_path: Path
) -> None:
    project = make_toy_project(tmp_path / "p")
    with pytest.raises(InputError, match="no finished sequence run"):
        write_report(make_job(project), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
