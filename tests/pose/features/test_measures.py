"""Measures: numbers known from school, and NaN wherever a point is missing."""

import numpy as np

from pixelethogram.pose.features import measures

NAN = np.nan


def test_length_and_direction_of_a_three_four_five_triangle() -> None:
    way = np.array([[3.0, 4.0], [0.0, 0.0], [NAN, NAN]])
    np.testing.assert_array_equal(measures.length(way), [5, 0, NAN])
    np.testing.assert_allclose(measures.unit(way), [[0.6, 0.8], [NAN, NAN], [NAN, NAN]])


def test_cross_product_is_positive_clockwise_on_screen() -> None:
    right, down = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert measures.cross(right, down) == 1


def test_means_and_extremes_leave_out_what_is_missing() -> None:
    values = np.array([[1.0, NAN, 5.0], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(measures.mean_known(values, axis=1), [3, NAN])
    np.testing.assert_array_equal(measures.lowest(values, axis=1), [1, NAN])
    np.testing.assert_array_equal(measures.highest(values, axis=1), [5, NAN])


def test_change_over_frames_begins_with_zero() -> None:
    values = np.array([1.0, 4.0, 9.0, 16.0])
    np.testing.assert_array_equal(measures.change(values, 2), [0, 0, 8, 12])
    np.testing.assert_array_equal(measures.change(values, 9), np.zeros(4))


def test_body_length_is_the_median_of_what_is_seen() -> None:
    positions = np.zeros((5, 1, 2, 2))
    positions[:, 0, 1, 0] = [10, 11, 12, NAN, 500]
    assert measures.body_length(positions, front=0, back=1) == 11.5
    assert measures.body_length(np.full((5, 1, 2, 2), NAN), front=0, back=1) == 1


def test_boxes_share_the_area_of_their_overlap_only() -> None:
    squares = np.array([[[0.0, 0.0], [4.0, 4.0]], [[3.0, 2.0], [9.0, 9.0]], [[5.0, 0.0], [6, 1]]])
    boxes = measures.bounding_boxes(squares[None])[0]
    np.testing.assert_array_equal(boxes, squares)
    assert measures.overlap_area(boxes[0], boxes[1]) == 2
    assert measures.overlap_area(boxes[0], boxes[2]) == 0


def test_area_of_a_house() -> None:
    house = np.array([[0.0, 0], [4, 0], [4, 3], [2, 5], [0, 3]])
    assert measures.polygon_area(house) == 16
    assert measures.polygon_area(house[::-1]) == 16
