"""Motion energy: what moves counts, light that changes does not."""

from __future__ import annotations

import numpy as np

from pixelethogram.frames.motion import measure_motion


def square(left: int, light: int = 100) -> np.ndarray:
    frame = np.full((32, 32, 3), light, np.uint8)
    frame[8:16, left : left + 8] += 100
    return frame


def test_a_step_counts_on_the_frame_before_it() -> None:
    energy = measure_motion([square(4), square(4), square(6), square(6)])
    changed = 2 * 2 * 8 / 32**2  # two columns of eight pixels appear, two vanish
    np.testing.assert_allclose(energy, [0, 100 * changed, 0, 0])


def test_the_last_frame_repeats_the_one_before() -> None:
    energy = measure_motion([square(4), square(6)])
    assert energy[1] == energy[0] > 0


def test_light_that_changes_everywhere_is_no_motion() -> None:
    assert measure_motion([square(4), square(4, light=120)]).tolist() == [0, 0]


def test_large_frames_count_like_small_ones() -> None:
    small = [square(4), square(6)]
    large = [np.kron(frame, np.ones((8, 8, 1), np.uint8)) for frame in small]
    np.testing.assert_allclose(measure_motion(large), measure_motion(small), rtol=0.05)


def test_short_recordings() -> None:
    assert measure_motion([]).shape == (0,)
    assert measure_motion([square(4)]).tolist() == [0]
    assert len(measure_motion([square(4)] * 9, max_frames=5)) == 5
