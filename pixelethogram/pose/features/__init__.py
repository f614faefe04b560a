"""Sets of features of keypoints; the table and what every entry keeps to.

`FEATURE_SETS[name](pose) -> Columns`: values (T, D) and D names, for any number of animals and
keypoints unless the set says which keypoints it needs. A value is NaN where a point that it takes
is missing; positions are never made up. D and the names depend on the skeleton and the individuals,
never on what is seen, so all recordings of a project give the same columns. No value depends on
frames more than a second away: that is what context and sequence models are for.

A new set is one new file and its line here; its tests exist already.
"""

from __future__ import annotations

from collections.abc import Callable

from pixelethogram.pose.features.columns import Columns
from pixelethogram.pose.features.egocentric import egocentric_features
from pixelethogram.pose.features.epfl import epfl_features
from pixelethogram.pose.features.sturman import sturman_features
from pixelethogram.pose.features.symmetric import symmetric_features
from pixelethogram.pose.pose import Pose

FEATURE_SETS: dict[str, Callable[[Pose], Columns]] = {
    "epfl": epfl_features,
    "sturman": sturman_features,
    "egocentric": egocentric_features,
    "symmetric": symmetric_features,
}
