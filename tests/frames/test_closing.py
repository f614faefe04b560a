"""A `with` block gives the object itself and closes it, also after an error."""

import pytest

from pixelethogram.frames.closing import ClosesItself


class Door(ClosesItself):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_block_gives_the_object_and_closes_it_once() -> None:
    door = Door()
    with door as same:
        assert same is door
        assert door.closed == 0
    assert door.closed == 1


def test_an_error_inside_passes_through_and_closes_too() -> None:
    door = Door()
    with pytest.raises(ValueError, match="inside"), door:
        raise ValueError("inside")
    assert door.closed == 1
