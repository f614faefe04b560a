"""DeepLabCut's files, in the layouts that its versions and pandas write."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from pixelethogram.errors import InputError
from pixelethogram.pose.readers import deeplabcut
from pixelethogram.pose.readers.assembly import Facts

PARTS = ("nose", "left_ear", "right_ear", "tail_base")
SCORER = "DLC_resnet50_shuffle1"


def columns_of(animals: Sequence[str]) -> list[tuple[str, ...]]:
    return [
        (SCORER, *([animal] if len(animals) > 1 else []), part, coordinate)
        for animal in animals
        for part in PARTS
        for coordinate in ("x", "y", "likelihood")
    ]


def flatten(points: np.ndarray, likelihood: np.ndarray) -> np.ndarray:
    together = np.concatenate([points, likelihood[..., None]], axis=-1)
    together[np.isnan(points[..., 0])] = np.nan
    return together.reshape(len(points), -1)


def write_csv(path: Path, columns: Sequence[tuple[str, ...]], values: np.ndarray) -> None:
    levels = ["scorer", *(["individuals"] if len(columns[0]) == 4 else []), "bodyparts", "coords"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for level, names in zip(levels, zip(*columns, strict=True), strict=True):
            writer.writerow([level, *names])
        for frame, row in enumerate(values):
            writer.writerow([frame, *("" if np.isnan(value) else value for value in row)])


def write_h5(path: Path, columns: object, values: np.ndarray) -> None:
    kind = [("index", "<i8"), ("values_block_0", "<f8", (values.shape[1],))]
    table = np.zeros(len(values), kind)
    table["index"], table["values_block_0"] = np.arange(len(values)), values
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        data = group.create_dataset("table", data=table)
        data.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(columns, protocol=0))


WRITERS = {".csv": write_csv, ".h5": write_h5}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("animals", [("animal",), ("one", "two")])
def test_all_comes_back(
    suffix: str,
    animals: tuple[str, ...],
    points: np.ndarray,
    likelihood: np.ndarray,
    facts: Facts,
    tmp_path: Path,
) -> None:
    points, likelihood = points[:, : len(animals)], likelihood[:, : len(animals)]
    path = tmp_path / f"mouse{suffix}"
    WRITERS[suffix](path, columns_of(animals), flatten(points, likelihood))
    assert deeplabcut.can_read(path)
    ((name, pose),) = deeplabcut.read(path, facts)
    assert (name, pose.individuals, pose.skeleton.keypoints) == ("mouse", animals, PARTS)
    np.testing.assert_allclose(pose.positions, points, rtol=1e-5)
    np.testing.assert_allclose(pose.confidence, likelihood, atol=1e-6)
    assert (pose.skeleton.front, pose.skeleton.back) == (0, 3)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_empty_cells_are_missing_wherever_they_stand(
    newline: str, facts: Facts, tmp_path: Path
) -> None:
    rows = ["0,1,2,.5,3,4,1", "1,,,,3,4,1", "2,1,2,.5,,,", "3,,,,,,", "4,nan,NaN,0,3,4,1e-1"]
    header = [
        ",".join(["scorer", *["x"] * 6]),
        "bodyparts,nose,nose,nose,tail_base,tail_base,tail_base",
        ",".join(["coords", *["x", "y", "likelihood"] * 2]),
    ]
    for ending in ("", newline):
        text = newline.join([*header, *rows]) + ending
        (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
        ((_, pose),) = deeplabcut.read(tmp_path / "a.csv", facts)
        nose, base = pose.positions[:, 0, 0], pose.positions[:, 0, 1]
        assert np.isnan(nose[:, 0]).tolist() == [False, True, False, True, True]
        assert np.isnan(base[:, 1]).tolist() == [False, False, True, True, False]
        assert nose[0].tolist() == [1, 2] and base[4].tolist() == [3, 4]
        np.testing.assert_allclose(pose.confidence[:, 0, 1], [1, 1, 0, 0, 0.1])


def test_lightning_pose_has_further_columns_and_points_of_no_animal_are_left_out(
    points: np.ndarray, likelihood: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    columns = columns_of(("one", "two"))
    columns += [(SCORER, "one", "nose", "x_ens_var"), (SCORER, "single", "corner", "x")]
    values = np.concatenate([flatten(points, likelihood), np.zeros((len(points), 2))], axis=1)
    write_csv(tmp_path / "a.csv", columns, values)
    ((_, pose),) = deeplabcut.read(tmp_path / "a.csv", facts)
    assert pose.individuals == ("one", "two")
    np.testing.assert_allclose(pose.positions, points, rtol=1e-5)


def test_without_likelihood_every_point_counts_in_full(
    points: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    columns = [column for column in columns_of(("one", "two")) if column[-1] != "likelihood"]
    write_csv(tmp_path / "a.csv", columns, points.reshape(len(points), -1))
    ((_, pose),) = deeplabcut.read(tmp_path / "a.csv", facts)
    np.testing.assert_array_equal(pose.confidence, ~np.isnan(points[..., 0]))


def test_labels_and_other_tables_are_not_taken_for_poses(tmp_path: Path) -> None:
    for number, text in enumerate(("frame,lick\n0,1\n", "", "scorer,a\n1,2\n", "\xff\x00")):
        path = tmp_path / f"{number}.csv"
        path.write_text(text, encoding="latin-1")
        assert not deeplabcut.can_read(path)
    assert not deeplabcut.can_read(tmp_path / "none.csv")
    assert not deeplabcut.can_read(tmp_path / "none.h5")


def test_a_pickled_class_is_refused(tmp_path: Path, facts: Facts) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "was here",))

    write_h5(tmp_path / "evil.h5", [Evil()], np.zeros((4, 3)))
    with pytest.raises(InputError, match="not allowed"):
        list(deeplabcut.read(tmp_path / "evil.h5", facts))
    assert not (tmp_path / "was here").exists()


def test_frames_that_are_left_out_are_refused(
    points: np.ndarray, likelihood: np.ndarray, facts: Facts, tmp_path: Path
) -> None:
    write_csv(tmp_path / "a.csv", columns_of(("one", "two")), flatten(points, likelihood))
    lines = (tmp_path / "a.csv").read_text().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join(lines[:6] + lines[7:]))
    with pytest.raises(InputError, match="not frames 0, 1, 2"):
        list(deeplabcut.read(tmp_path / "a.csv", facts))
    (tmp_path / "a.csv").write_text("".join(lines) + "8,1.5,oops\n")
    with pytest.raises(InputError, match="cannot be read"):
        list(deeplabcut.read(tmp_path / "a.csv", facts))


def test_another_layout_of_pandas_says_what_to_take(tmp_path: Path, facts: Facts) -> None:
    with h5py.File(tmp_path / "fixed.h5", "w") as file:
        file.create_group("df_with_missing").attrs["pandas_type"] = "frame"
    assert deeplabcut.can_read(tmp_path / "fixed.h5")
    with pytest.raises(InputError, match="not laid out") as refusal:
        list(deeplabcut.read(tmp_path / "fixed.h5", facts))
    assert "CSV" in str(refusal.value.do)
