"""Every kind of video file gives the same number of frames and the right picture at every index."""

from __future__ import annotations

import csv
import dataclasses
import gc
import io
import os
import pickle
import signal
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.frames import video
from pixelethogram.frames.video import VideoFile

NUM_FRAMES = 40
WriteVideo = Callable[..., Path]
NumberOf = Callable[[np.ndarray], int]

UNEVEN = np.cumsum(np.random.default_rng(0).integers(1, 9, NUM_FRAMES)).tolist()
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264 with B-frames": ("a.mp4", {"b_frames": 3}),
    "h264 open GOP": ("a.mkv", {"options": {"x264-params": "open-gop=1:keyint=12:scenecut=0"}}),
    "h264 intra refresh": (
        "a.mp4",
        {"b_frames": 0, "options": {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}},
    ),
    "h264 transport stream": ("a.ts", {}),
    "h265": ("a.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
    "mpeg4 avi": ("a.avi", {"codec": "mpeg4"}),
    "msmpeg4 asf": ("a.asf", {"codec": "msmpeg4", "b_frames": 0}),
    "mpeg1": ("a.mpg", {"codec": "mpeg1video"}),
    "mjpeg avi": ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "b_frames": 0}),
    "avi with dropped frames": (
        "a.avi",
        {"codec": "mpeg4", "b_frames": 0, "ticks": [*range(20), *range(30, 50)]},
    ),
    "vp8 webm": (
        "a.webm",
        {"codec": "libvpx", "b_frames": 0, "options": {"auto-alt-ref": "1", "lag-in-frames": "9"}},
    ),
    "vp9 webm": ("a.webm", {"codec": "libvpx-vp9", "b_frames": 0}),
    "gray": ("a.mp4", {"pix_fmt": "gray"}),
    "10 bit": ("a.mp4", {"pix_fmt": "yuv420p10le"}),
    "variable rate": ("a.mp4", {"ticks": UNEVEN, "rate": 600}),
    "variable rate mkv": ("a.mkv", {"ticks": UNEVEN, "rate": 600}),
    "late first time stamp": ("a.mp4", {"ticks": list(range(100, 140))}),
    "late first time stamp mkv": ("a.mkv", {"ticks": list(range(100, 140))}),
    "1 fps": ("a.mp4", {"rate": 1}),
    "no time stamps": ("a.h264", {}),
}


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threaded decoding even on a machine with one core."""
    monkeypatch.setattr(video.os, "cpu_count", lambda: 2)


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_found_in_any_order(
    kind: str, tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    name, settings = KINDS[kind]
    path = write_video(tmp_path / name, **settings)
    with VideoFile(path) as frames:
        in_order = np.stack(list(frames.iterate()))
        table = VideoFile(path).scan()
        order = np.random.default_rng(1).permutation(NUM_FRAMES)
        singly = np.concatenate([frames.read([index]) for index in order[:15]])
        together = frames.read(order)
    assert [number_of(frame) for frame in in_order] == list(range(NUM_FRAMES))
    assert table.num_frames == NUM_FRAMES
    assert table.num_damaged == 0
    np.testing.assert_array_equal(singly, in_order[order[:15]])
    np.testing.assert_array_equal(together, in_order[order])


@pytest.mark.parametrize(("height", "width"), [(53, 67), (35, 49)])
def test_odd_sizes(
    height: int,
    width: int,
    tmp_path: Path,
    write_video: WriteVideo,
    number_of: NumberOf,
    draw_number: Callable[..., np.ndarray],
) -> None:
    pictures = [draw_number(number, height, width) for number in range(5)]
    path = write_video(tmp_path / "odd.avi", pictures, codec="mpeg4")
    with VideoFile(path) as frames:
        assert (frames.height, frames.width) == (height, width)
        assert [number_of(frame) for frame in frames.read([4, 0, 2])] == [4, 0, 2]


def _draw_corners() -> np.ndarray:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16], picture[:16, -16:], picture[-16:, :16] = (250, 0, 0), (0, 250, 0), 120
    return picture


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_is_applied(degrees: int, tmp_path: Path, write_video: WriteVideo) -> None:
    picture = _draw_corners()
    settings = {"pix_fmt": "yuv444p", "options": {"qp": "0"}, "rotation": degrees}
    with VideoFile(write_video(tmp_path / "turned.mp4", [picture] * 3, **settings)) as frames:
        shown = frames.read([1])[0]
        assert shown.shape[:2] == (frames.height, frames.width)
    upright = np.rot90(picture, degrees // 90)  # the file states degrees counter-clockwise
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).max() < 16


@pytest.mark.parametrize("quarter", [False, True])
@pytest.mark.parametrize("first", [1, -1])
@pytest.mark.parametrize("second", [1, -1])
def test_every_display_matrix_puts_pixels_where_it_says(
    quarter: bool, first: int, second: int
) -> None:
    # x' = a x + c y, y' = b x + d y, then moved into view
    a, b, c, d = (0, first, second, 0) if quarter else (first, 0, 0, second)
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32) << 16
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    placed = {(a * x + c * y, b * x + d * y): picture[y, x] for y in range(2) for x in range(3)}
    columns = sorted({x for x, _ in placed})
    rows = sorted({y for _, y in placed})
    expected = np.array([[placed[x, y] for x in columns] for y in rows])
    shown = video._turn_upright(picture, matrix.tobytes())
    np.testing.assert_array_equal(shown, expected)


def test_colors_are_red_green_blue(tmp_path: Path, write_video: WriteVideo) -> None:
    picture = np.full((32, 32, 3), (200, 90, 20), np.uint8)
    path = write_video(tmp_path / "color.mp4", [picture] * 2, pix_fmt="yuv444p")
    with VideoFile(path) as frames:
        assert np.abs(frames.read([0])[0].astype(int) - picture).max() <= 4


def test_packed_b_frames_are_counted_and_read(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    path = _pack_b_frames(write_video(tmp_path / "plain.avi", codec="mpeg4", b_frames=1))
    with VideoFile(path) as frames:
        table = frames.scan()
        order = [39, 5, 17, 4]
        assert not table.has_times
        assert table.num_frames == NUM_FRAMES
        assert table.fps == pytest.approx(30.0)
        assert [number_of(frame) for frame in frames.read(order)] == order
        assert [number_of(frame) for frame in frames.iterate()] == list(range(NUM_FRAMES))


def _pack_b_frames(plain: Path) -> Path:
    """As old DivX did: a P- and a B-picture in one packet, then an empty one."""
    marker = b"\0\0\1\xb2"
    with av.open(str(plain)) as source:
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    kinds = [packet[packet.index(b"\0\0\1\xb6") + 4] >> 6 for packet in packets]
    start = packets[0].index(marker)
    stop = packets[0].index(b"\0\0\1", start + 4)
    packets[0] = packets[0][:start] + marker + b"DivX503b1393p\0" + packets[0][stop:]
    packed: list[bytes] = []
    for number, packet in enumerate(packets):
        if kinds[number] == 2:
            continue
        follower = number + 1 < len(packets) and kinds[number + 1] == 2
        packed += [packet + packets[number + 1], b"\0\0\1\xb6\x50\0"] if follower else [packet]
    path = plain.with_name("packed.avi")
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.codec_tag = "DX50"
        stream.codec_context.open()
        for number, content in enumerate(packed):
            chunk = av.Packet(content)
            chunk.stream, chunk.pts, chunk.dts = stream, number, number
            chunk.time_base = Fraction(1, 30)
            output.mux(chunk)
    return path


def test_an_edit_list_hides_the_same_frames_from_every_reader(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    # a negative first time stamp is written as an edit list that begins at zero
    path = write_video(tmp_path / "edited.mp4", ticks=list(range(-7, 33)), b_frames=0)
    with VideoFile(path) as frames:
        numbers = [number_of(frame) for frame in frames.iterate()]
        assert numbers == list(range(numbers[0], NUM_FRAMES))
        assert numbers[0] > 0
        assert frames.num_frames == len(numbers) == VideoFile(path).num_frames
        assert [number_of(frame) for frame in frames.read([20, 3])] == [numbers[20], numbers[3]]


# ---- damage -------------------------------------------------------------------------------------


def _damage(path: Path, frame: int) -> Path:
    """Overwrite the pixels of one picture, leaving the container whole."""
    with av.open(str(path)) as source:
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    content = path.read_bytes()
    start = content.index(packets[frame])
    noise = np.random.default_rng(0).integers(0, 256, len(packets[frame]), np.uint8).tobytes()
    damaged = path.with_name(f"damaged{path.suffix}")
    damaged.write_bytes(content[:start] + noise + content[start + len(noise) :])
    return damaged


def test_a_damaged_picture_repeats_the_one_before_and_is_counted(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    plain = write_video(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", b_frames=0)
    with VideoFile(_damage(plain, 17)) as frames:
        table = frames.scan()
        numbers = [number_of(frame) for frame in frames.iterate()]
        assert np.flatnonzero(table.damaged).tolist() == [17]
        assert table.num_damaged == 1
        assert numbers == [*range(17), 16, *range(18, NUM_FRAMES)]
        order = [17, 39, 18, 16]
        assert [number_of(frame) for frame in frames.read(order)] == [16, 39, 18, 16]


def test_damage_at_the_beginning_shows_the_first_good_picture(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    plain = write_video(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", b_frames=0)
    with VideoFile(_damage(plain, 0)) as frames:
        assert [number_of(frame) for frame in frames.iterate()] == [1, *range(1, NUM_FRAMES)]
        assert [number_of(frame) for frame in frames.read([0, 1])] == [1, 1]


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.ts", "a.mp4", "a.webm"])
@pytest.mark.parametrize("cut_frame", [7, 25])
def test_a_truncated_file_ends_at_its_last_picture(
    name: str, cut_frame: int, tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    codec = {"a.avi": "mpeg4", "a.webm": "libvpx-vp9"}.get(name, "libx264")
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    whole = write_video(tmp_path / name, codec=codec, b_frames=0, container=container)
    with av.open(str(whole)) as source:
        packets = [(packet.pos, packet.size) for packet in source.demux(video=0) if packet.size]
    position, size = packets[cut_frame]
    path = tmp_path / f"cut{whole.suffix}"
    path.write_bytes(whole.read_bytes()[: position + size // 2])
    with VideoFile(path) as frames:
        upper_bound = frames.num_frames
        numbers = [number_of(frame) for frame in frames.iterate()]
        table = VideoFile(path).scan()
        assert len(numbers) == table.num_frames == frames.num_frames <= upper_bound
        assert cut_frame - 1 <= len(numbers) <= cut_frame + 1
        assert numbers[:-1] == list(range(len(numbers) - 1))
        last = len(numbers) - 1
        assert [number_of(frame) for frame in frames.read([last, 0])] == [numbers[-1], 0]


@pytest.mark.parametrize("seed", range(12))
def test_the_number_of_cores_does_not_change_the_number_of_frames(
    seed: int, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(seed)
    name, codec = [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")][seed % 3]
    content = bytearray(write_video(tmp_path / name, codec=codec).read_bytes())
    for start in generator.integers(len(content) // 8, len(content) // 2, 3).tolist():
        content[start : start + 30] = generator.integers(0, 256, 30, np.uint8).tobytes()
    path = tmp_path / f"hit{name[1:]}"
    path.write_bytes(content)
    found = []
    for cores in (1, 4):
        monkeypatch.setattr(video.os, "cpu_count", lambda cores=cores: cores)
        with VideoFile(path) as frames:
            num_frames = sum(1 for _ in frames.iterate())
            table = frames.scan()
        assert table.num_frames == num_frames
        found.append((table.pts.tolist(), table.damaged.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("noise.mp4", bytes(range(256)) * 20),
        ("text.txt", b"frame,groom\n0,1\n" * 50),
    ],
)
def test_what_is_no_video_is_an_input_error(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        VideoFile(path)
    assert str(path) in str(caught.value)
    assert caught.value.why
    assert caught.value.do


def test_a_video_without_its_index_is_an_input_error(tmp_path: Path, numbered_video: Path) -> None:
    path = tmp_path / "cut.mp4"
    content = numbered_video.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.mp4"):
        VideoFile(path)


def test_sound_alone_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="no moving pictures"):
        VideoFile(path)


def test_indices_outside_are_refused(numbered_video: Path) -> None:
    with VideoFile(numbered_video) as frames:
        for index in (NUM_FRAMES, -1):
            with pytest.raises(IndexError, match="40 frames"):
                frames.read([0, index])


# ---- times --------------------------------------------------------------------------------------


def test_the_rate_comes_from_the_time_stamps(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "uneven.mkv", ticks=UNEVEN, rate=600)
    frames = VideoFile(path)
    expected = (NUM_FRAMES - 1) * 600 / (UNEVEN[-1] - UNEVEN[0])
    assert frames.fps == pytest.approx(expected, rel=0.02)  # counted from packets
    table = frames.scan()
    assert frames.fps == table.fps == pytest.approx(expected, rel=0.02)
    assert table.variable_rate
    np.testing.assert_allclose(
        table.seconds, (np.array(UNEVEN) - UNEVEN[0]) / 600, atol=0.0011, rtol=0
    )


@pytest.mark.parametrize("rate", [1, 15, 30, 120])
def test_a_steady_rate_is_not_called_variable(
    rate: int, tmp_path: Path, write_video: WriteVideo
) -> None:
    table = VideoFile(write_video(tmp_path / "a.mkv", rate=rate)).scan()
    assert not table.variable_rate
    assert table.fps == pytest.approx(rate, rel=0.01)


def test_one_frame_is_a_video(
    tmp_path: Path, write_video: WriteVideo, draw_number: Callable[..., np.ndarray]
) -> None:
    path = write_video(tmp_path / "one.mp4", [draw_number(0)])
    with VideoFile(path) as frames:
        table = frames.scan()
        assert table.num_frames == 1
        assert not table.variable_rate
        assert np.isfinite(frames.fps)
        assert frames.fps > 0
        assert frames.read([0, 0]).shape == (2, 48, 64, 3)


# ---- work done ----------------------------------------------------------------------------------


def test_a_table_saves_scanning(numbered_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = VideoFile(numbered_video).scan()
    monkeypatch.setattr(VideoFile, "scan", lambda self: pytest.fail("scanned again"))
    with VideoFile(numbered_video, table) as frames:
        assert frames.num_frames == NUM_FRAMES
        frames.read([7])


def test_iterating_tells_the_table(numbered_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoFile, "scan", lambda self: pytest.fail("decoded twice"))
    with VideoFile(numbered_video) as frames:
        list(frames.iterate())
        frames.read([39])


def test_neighbours_are_decoded_once(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", options={"x264-params": "keyint=12:scenecut=0"})
    table = VideoFile(path).scan()
    decoded = []
    original = video._to_picture
    monkeypatch.setattr(
        video, "_to_picture", lambda frame: decoded.append(frame.pts) or original(frame)
    )
    with VideoFile(path, table) as frames:
        frames.read(range(26, 34))
        assert len(decoded) == 10  # from key frame 24 to frame 33
        frames.read([34])
        assert len(decoded) == 11


def test_memory_stays_flat(tmp_path: Path, write_video: WriteVideo) -> None:
    frames = [np.full((120, 160, 3), number % 250, np.uint8) for number in range(300)]
    path = write_video(tmp_path / "long.mp4", frames)
    del frames
    with VideoFile(path) as source:
        tracemalloc.start()
        for _ in source.iterate():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20 * 120 * 160 * 3  # of 300 frames


def test_decoded_pictures_are_let_go_without_the_garbage_collector(numbered_video: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        with VideoFile(numbered_video) as frames:
            for _ in frames.iterate():
                pass
            frames.read(range(30))
            alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 8


def test_a_pickled_file_reads_on(numbered_video: Path, number_of: NumberOf) -> None:
    with VideoFile(numbered_video) as frames:
        frames.read([3])
        with pickle.loads(pickle.dumps(frames)) as copy:
            assert number_of(copy.read([21])[0]) == 21
            assert copy.num_frames == NUM_FRAMES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_reads_for_itself(numbered_video: Path, number_of: NumberOf) -> None:
    with VideoFile(numbered_video) as frames:
        frames.read([13])
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # rather than wait for ever
            numbers = []
            try:
                numbers = [number_of(frames.read([index])[0]) for index in (14, 30, 2)]
            finally:
                os._exit(0 if numbers == [14, 30, 2] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert number_of(frames.read([14])[0]) == 14


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_frees_what_it_inherits_without_waiting(numbered_video: Path) -> None:
    gc.disable()  # so that no garbage of the decoding is freed before the fork
    try:
        with VideoFile(numbered_video) as frames:
            for _ in frames.iterate():
                pass
            frames.read([20])
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                del frames
                gc.collect()
                os._exit(0)
    finally:
        gc.enable()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_changed_file_is_an_input_error(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.avi", codec="mpeg4")
    table = VideoFile(path).scan()
    shorter = write_video(
        tmp_path / "b.avi", codec="mpeg4", frames=[np.zeros((48, 64, 3), np.uint8)] * 5
    )
    shorter.replace(path)
    with VideoFile(path, table) as frames, pytest.raises(InputError, match="frame 30 is gone"):
        frames.read([30])


def test_every_real_clip_reads_the_same_in_any_order(real_data: Path) -> None:
    clips = sorted((real_data / "zamba_clips" / "native").iterdir())
    assert clips
    for clip in clips:
        with VideoFile(clip) as frames:
            upper_bound = frames.num_frames
            in_order = list(frames.iterate())
            assert len(in_order) == frames.num_frames == upper_bound
            for index in np.random.default_rng(0).integers(0, len(in_order), 4):
                np.testing.assert_array_equal(frames.read([index])[0], in_order[index])


def test_real_clips_have_the_frames_their_table_says(real_data: Path) -> None:
    table = (real_data / "zamba_clips" / "labels.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(io.StringIO(table)):
        with VideoFile(real_data / "zamba_clips" / "native" / f"{row['id']}.mp4") as frames:
            assert frames.scan().num_frames == int(row["src_frames"])


def test_packets_are_let_go_while_they_are_counted(
    write_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4")

    @dataclasses.dataclass(eq=False)
    class Note:
        pts: int | None
        size: int
        is_discard: bool = False

    alive: weakref.WeakSet[Note] = weakref.WeakSet()
    most = 0

    def demux(container: Any) -> Iterator[Any]:
        nonlocal most
        for packet in container.demux(video=0):
            note = Note(packet.pts, packet.size)
            alive.add(note)
            most = max(most, len(alive))
            yield note
            del note

    frames = VideoFile(path)
    monkeypatch.setattr(video, "_demux", demux)
    assert frames.num_frames == NUM_FRAMES
    assert most <= 2
