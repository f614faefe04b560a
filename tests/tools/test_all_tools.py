"""Every Python tool loads: a name that moved inside the package is noticed here."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).resolve().parents[2] / "tools").glob("*.py"))


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.name)
def test_a_tool_loads_and_explains_itself(path: Path) -> None:
    content = runpy.run_path(str(path), run_name="tool")
    assert callable(content["main"])
    assert f"python tools/{path.name}" in content["__doc__"]
