"""Files from the internet: a URL and the beginning of its sha256 in, a checked file out."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError, ResourceError
from pixelethogram.progress import Progress

TIMEOUT_SECONDS = 30.0
BLOCK_BYTES = 1 << 20
UNREACHABLE = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def fetch(url: str, path: Path, *, sha256: str, progress: Progress, otherwise: str) -> Path:
    """Download a file once; one that is there already and has the right hash is kept.

    Args:
        url: http, https or file.
        path: Where to keep it; the folder is made.
        sha256: The first hexadecimal digits of the content's hash.
        progress: Told of every megabyte.
        otherwise: What to do without the file, for the error.

    Returns:
        `path`, which holds the content as it was published.

    Raises:
        ResourceError: The server cannot be reached or does not have the file.
        InputError: The content is not what was published: broken off, damaged, replaced.
    """
    if path.is_file() and hash_file(path).startswith(sha256):
        return path
    try:
        data = _download(url, progress, path.name)
    except UNREACHABLE as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise ResourceError(
            f"{path.name} could not be downloaded: {error}",
            where=url,
            why="no connection to the internet, a proxy or a firewall in between, or it has moved",
            do=f"download it elsewhere and put it at {path}, or {otherwise}",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(sha256):
        raise InputError(
            f"the download of {path.name} is not what was published: its sha256 begins with "
            f"{found[: len(sha256)]}, not {sha256}",
            where=url,
            why="it was broken off or changed on the way, e.g. by the login page of a network",
            do=f"try again, or {otherwise}; nothing was kept",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
    return path


def hash_file(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _download(url: str, progress: Progress, name: str) -> bytes:
    """Content of a URL, all of it in memory; start weights are at most a few hundred megabytes."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        size = response.headers["Content-Length"]
        progress.start(f"download of {name}, MB", -(-int(size) // BLOCK_BYTES) if size else None)
        blocks = []
        while block := response.read(BLOCK_BYTES):
            blocks.append(block)
            progress.advance()
        progress.finish()
    return b"".join(blocks)
