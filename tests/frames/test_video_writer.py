"""What is written is what is shown; an interrupted file does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pixelethogram import toy
from pixelethogram.frames import video_writer

SIZE = 64


def read_video(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([image.to_ndarray(format="rgb24") for image in container.decode(video=0)])


def test_the_chosen_encoder_exists() -> None:
    assert av.Codec(video_writer._encoder(), "w").is_encoder


@pytest.mark.parametrize("encoder", video_writer.ENCODERS)
def test_the_video_on_disk_shows_the_painted_frames(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if encoder != video_writer._encoder() and encoder != "mpeg4":
        pytest.skip(f"this ffmpeg has no {encoder} encoder")
    monkeypatch.setattr(video_writer, "_encoder", lambda: encoder)
    path = tmp_path / "a toy.mp4"
    labels = toy.make_toy_video(path, seed=1, num_frames=90, size=SIZE, fps=25.0)
    painted, true_labels = toy.toy_frames(1, 90, SIZE)
    frames = read_video(path)
    assert np.array_equal(labels, true_labels)
    assert frames.shape == painted.shape
    assert np.abs(frames.astype(int) - painted).mean() < 5
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25


def test_an_interrupted_video_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected numpy array"):
        video_writer.write_video(np.zeros((3, SIZE, SIZE)), tmp_path / "toy.mp4", 30.0)
    assert not (tmp_path / "toy.mp4").exists()


def test_frames_that_end_in_an_error_leave_nothing_behind(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((SIZE, SIZE, 3), np.uint8)
        raise RuntimeError("the pose is damaged")

    with pytest.raises(RuntimeError, match="damaged"):
        video_writer.write_video(frames(), tmp_path / "toy.mp4", 30.0)
    assert not list(tmp_path.iterdir())
