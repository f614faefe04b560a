"""Downloads from a server on this machine: whole and as published, or not kept."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pixelethogram.download import BLOCK_BYTES, fetch, hash_file
from pixelethogram.errors import InputError, ResourceError
from pixelethogram.progress import SilentProgress

CONTENT = bytes(range(256)) * (BLOCK_BYTES // 100)  # two and a half blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """/whole has the content, /cut half of it, /page something else, /endless no length."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        body = {"/cut": CONTENT[: len(CONTENT) // 2], "/page": b"<html>".ljust(len(CONTENT))}
        self.wfile.write(body.get(self.path, CONTENT))

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Server.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


class Counter(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.total: int | None = -1
        self.done = 0

    def start(self, task: str, total: int | None) -> None:
        self.total = total

    def advance(self, units: int = 1, note: str = "") -> None:
        self.done += units


def download(url: str, path: Path, progress: SilentProgress | None = None) -> Path:
    return fetch(
        url, path, sha256=SHA256[:8], progress=progress or SilentProgress(), otherwise="set none"
    )


@pytest.mark.parametrize("name", ["whole", "endless"])
def test_a_file_comes_whole_into_a_new_folder(server: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "new folder é" / "weights.pth"
    assert download(f"{server}/{name}", path) == path
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.pth"]


def test_a_file_address_works_too(tmp_path: Path) -> None:
    (tmp_path / "there.pth").write_bytes(CONTENT)
    download((tmp_path / "there.pth").as_uri(), tmp_path / "here.pth")
    assert (tmp_path / "here.pth").read_bytes() == CONTENT


def test_what_is_there_is_not_downloaded_again(server: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    download(f"{server}/whole", path)
    assert Server.asked == []


def test_a_damaged_file_is_replaced(server: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT[:-1])
    download(f"{server}/whole", path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["cut", "page"])
def test_another_content_than_was_published_is_refused_and_not_kept(
    server: str, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(InputError) as caught:
        download(f"{server}/{name}", path)
    message = str(caught.value)
    assert "weights.pth is not what was published" in message
    assert SHA256[:8] in message
    assert f"where: {server}/{name}" in message
    assert "set none" in message
    assert list(tmp_path.iterdir()) == []


def test_a_refused_content_leaves_the_old_file(server: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"old")
    with pytest.raises(InputError):
        download(f"{server}/cut", path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("place", ["closed port", "missing page", "missing file"])
def test_without_a_connection_it_says_what_to_do(server: str, tmp_path: Path, place: str) -> None:
    path = tmp_path / "weights.pth"
    url = {
        "closed port": "http://127.0.0.1:1/weights.pth",
        "missing page": f"{server}/missing",
        "missing file": (tmp_path / "nowhere.pth").as_uri(),
    }[place]
    with pytest.raises(ResourceError) as caught:
        download(url, path)
    message = str(caught.value)
    assert "could not be downloaded" in message
    assert f"where: {url}" in message
    assert f"put it at {path}, or set none" in message
    assert caught.value.exit_code == 4
    assert not path.exists()


@pytest.mark.parametrize(("name", "total"), [("whole", 3), ("endless", None)])
def test_progress_counts_megabytes(
    server: str, tmp_path: Path, name: str, total: int | None
) -> None:
    counter = Counter()
    download(f"{server}/{name}", tmp_path / "weights.pth", counter)
    assert counter.total == total
    assert counter.done == 3


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert hash_file(tmp_path / "file") == SHA256
