"""What is said of two sets of scores."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


def fold(*stretches: list[list[bool]]) -> dict[str, Any]:
    part = SimpleNamespace(present=[np.array(each) for each in stretches])
    return {"sequence": SimpleNamespace(parts={"test": part})}


def test_the_largest_change_is_that_of_any_predictor(tool: ModuleType) -> None:
    rough = {"sequence": {"macro_f1": 0.5}, "flow stream": {"macro_f1": 0.40}, "minutes": 3}
    exact = {"sequence": {"macro_f1": 0.51}, "flow stream": {"macro_f1": 0.38}}
    assert tool.find_largest_change(rough, exact) == pytest.approx(0.02)


def test_equal_labels_are_counted_over_all_folds(tool: ModuleType) -> None:
    rough = [fold([[True, False]], [[True, True]]), fold([[False, False]])]
    exact = [fold([[True, False]], [[True, False]]), fold([[False, False]])]
    assert tool.share_equal(rough, exact) == pytest.approx(5 / 6)
    assert tool.share_equal(rough, rough) == 1.0
