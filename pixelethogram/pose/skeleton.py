"""Skeleton: the names of keypoints, and which of them are joined, mirrored, front and back."""

from __future__ import annotations

import dataclasses
import re

SIDES = (("left", "right"), ("Left", "Right"), ("L", "R"), ("l", "r"))


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """How the P keypoints of one animal hang together.

    Attributes:
        keypoints: Names, in the order of the keypoint axis.
        edges: Pairs of indices joined by a limb.
        outline: Indices round the body, in order; empty: no body is drawn.
        front: Index of the keypoint that leads (nose).
        back: Index of the keypoint that trails (tail base).
        guessed_edges: True where the edges come from distances in this recording: good to draw,
            and others in the next recording of the same animal.
    """

    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    outline: tuple[int, ...] = ()
    front: int = 0
    back: int = -1
    guessed_edges: bool = False

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        object.__setattr__(self, "back", self.back % count if count else 0)
        used = {*self.outline, self.front, self.back, *(end for edge in self.edges for end in edge)}
        if not count or any(not 0 <= index < count for index in used):
            raise ValueError(f"a skeleton of {count} keypoints names keypoints {sorted(used)}")
        if len(set(self.keypoints)) != count:
            raise ValueError("two keypoints have the same name")

    @property
    def stated_edges(self) -> tuple[tuple[int, int], ...]:
        """The edges that the file states; the same in all recordings of a skeleton."""
        return () if self.guessed_edges else self.edges

    @property
    def mirror(self) -> tuple[int, ...]:
        """For every keypoint, the one it becomes in a mirror: left and right change places."""
        place = {name: index for index, name in enumerate(self.keypoints)}
        return tuple(place.get(other_side(name), place[name]) for name in self.keypoints)

    @property
    def sides(self) -> tuple[int, ...]:
        """For every keypoint 1 if its name says left, -1 for right, 0 if it says neither."""
        return tuple(_find_side(name)[0] for name in self.keypoints)


def other_side(name: str) -> str:
    """`left ear` -> `right ear`, `earL` -> `earR`, `nose` -> `nose`.

    A single letter counts only as a word of its own (`l_ear`, `ear.R`), or as a capital at the end
    after a small letter (`earL`; `Rear` is left alone).
    """
    return _find_side(name)[1]


def _find_side(name: str) -> tuple[int, str]:
    """1 for left, -1 for right, 0 for neither, and the name on the other side."""
    for one, other in SIDES:
        for sign, here, there in ((1, one, other), (-1, other, one)):
            pattern = rf"(?<![A-Za-z]){here}(?![A-Za-z])"
            if len(here) == 1 and here.isupper():
                pattern += rf"|(?<=[a-z]){here}(?![A-Za-z])"
            if len(here) > 1:
                pattern = here
            if re.search(pattern, name):
                return sign, re.sub(pattern, there, name, count=1)
    return 0, name
