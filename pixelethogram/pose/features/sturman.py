"""The set of Sturman et al. 2020 for one mouse seen from above: 44 columns per animal and frame.

Sturman, von Ziegler et al., Neuropsychopharmacology 2020, as used by Bohnslav et al. 2021. They
look at 31 frames at once (`context.stack_frames` with radius 15: 1,364 columns), through a
perceptron of 256 and 128 units (sequence model `mlp_window`). Angles are signed, by atan2.
"""

from __future__ import annotations

import re

import numpy as np

import pixelethogram.pose.features.measures as measures
from pixelethogram.errors import InputError
from pixelethogram.pose.features.columns import Columns, join, with_prefix
from pixelethogram.pose.pose import Pose

ROLES = {
    "nose": r"nose|snout",
    "left forepaw": r"(left|l)(fore|front)(paw|limb)|(fore|front)(paw|limb)(left|l)",
    "right forepaw": r"(right|r)(fore|front)(paw|limb)|(fore|front)(paw|limb)(right|r)",
    "left hindpaw": r"(left|l)(hind|back)(paw|limb)|(hind|back)(paw|limb)(left|l)",
    "right hindpaw": r"(right|r)(hind|back)(paw|limb)|(hind|back)(paw|limb)(right|r)",
    "tail base": r"tailbase|basetail|tailroot",
    "tail tip": r"tailtip|tailend|tiptail",
}
PAWS = ("left forepaw", "right forepaw", "left hindpaw", "right hindpaw")
OUTLINE = ("nose", "right forepaw", "right hindpaw", "tail base", "left hindpaw", "left forepaw")


def sturman_features(pose: Pose) -> Columns:
    """44 columns per animal: places, places along the body axis, angles, distances, area.

    Raises:
        InputError: A keypoint that the set is made of is not in the skeleton.
    """
    index = find_roles(pose.skeleton.keypoints)
    size = np.array([pose.width, pose.height], dtype=np.float32)
    parts = [
        with_prefix(_one_animal(pose.positions[:, number], index, size), f"{name}: ")
        for number, name in enumerate(pose.individuals)
    ]
    return join(parts)


def find_roles(keypoints: tuple[str, ...]) -> dict[str, int]:
    """Index of the keypoint that plays each of `ROLES`, by its name in the usual spellings."""
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in keypoints]
    found = {
        role: [index for index, name in enumerate(plain) if re.fullmatch(pattern, name)]
        for role, pattern in ROLES.items()
    }
    if missing := [role for role, indices in found.items() if len(indices) != 1]:
        raise InputError(
            f"the skeleton has no {', '.join(missing)}",
            why=f"its keypoints are {', '.join(keypoints)}; the set `sturman` is made of seven",
            do="take another set: features.model.sets, e.g. symmetric or egocentric",
        )
    return {role: indices[0] for role, indices in found.items()}


def _one_animal(points: np.ndarray, index: dict[str, int], size: np.ndarray) -> Columns:
    """Columns of an animal from its points (T, P, 2); `size` is width and height."""
    place = {role: points[:, number] for role, number in index.items()}
    place["centre"] = np.stack([place[paw] for paw in PAWS]).mean(axis=0)
    base, axis = place["tail base"], measures.unit(place["nose"] - place["tail base"])
    every = np.stack(list(place.values()), axis=1)  # (T, 8, 2)
    offset = every - base[:, None]
    along = (offset * axis[:, None]).sum(axis=-1)
    aside = measures.cross(axis[:, None], offset)
    return join(
        [
            _coordinates(every / size, place, "{} of {}"),
            _coordinates(np.stack([along, aside], axis=2), place, "{} along the body of {}"),
            _angles(place, axis),
            _distances(place),
            Columns(
                measures.polygon_area(np.stack([place[role] for role in OUTLINE], axis=1))[:, None],
                ("area",),
            ),
        ]
    )


def _coordinates(values: np.ndarray, place: dict[str, np.ndarray], text: str) -> Columns:
    names = tuple(text.format(axis, role) for role in place for axis in "xy")
    return Columns(values.reshape(len(values), -1), names)


def _angles(place: dict[str, np.ndarray], axis: np.ndarray) -> Columns:
    """Tail (from its base) and paws (from their centre) against the body axis, in radians."""
    arms = [place["tail tip"] - place["tail base"]]
    arms += [place[paw] - place["centre"] for paw in PAWS]
    angles = [np.arctan2(measures.cross(axis, arm), (axis * arm).sum(axis=-1)) for arm in arms]
    return Columns(np.stack(angles, axis=1), tuple(f"angle of {role}" for role in ("tail", *PAWS)))


def _distances(place: dict[str, np.ndarray]) -> Columns:
    def apart(one: str, other: str) -> np.ndarray:
        return measures.length(place[one] - place[other])

    left, right, back_left, back_right = PAWS
    found = {
        "nose to tail base": apart("nose", "tail base"),
        "tail base to tip": apart("tail base", "tail tip"),
        "fore to hind": (apart(left, back_left) + apart(right, back_right)) / 2,
        "forepaws to nose": (apart(left, "nose") + apart(right, "nose")) / 2,
        "between forepaws": apart(left, right),
        "between hindpaws": apart(back_left, back_right),
    }
    return Columns(np.stack(list(found.values()), axis=1), tuple(found))
