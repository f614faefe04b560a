"""Columns: names and values belong together."""

import numpy as np
import pytest

from pixelethogram.pose.features.columns import Columns, join, with_prefix


def test_joined_columns_stand_side_by_side_in_order() -> None:
    joined = join([Columns(np.ones((3, 1)), ("a",)), Columns(np.zeros((3, 2)), ("b", "c"))])
    assert joined.names == ("a", "b", "c")
    np.testing.assert_array_equal(joined.values, [[1, 0, 0]] * 3)
    assert joined.values.dtype == np.float32


def test_two_columns_of_one_name_are_refused() -> None:
    one = Columns(np.ones((3, 1)), ("a",))
    with pytest.raises(ValueError, match="same name"):
        join([one, one])
    assert join([with_prefix(one, "x "), one]).names == ("x a", "a")


def test_a_name_per_column_is_demanded() -> None:
    with pytest.raises(ValueError, match="2 names"):
        Columns(np.ones((3, 1)), ("a", "b"))
