"""The set-up of tools/demo and tools/test, with a Python that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools are bash scripts")

FAKE_PYTHON = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$LOG"
case "$1 $2" in
    "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo "version = 3.x" > "$4/pyvenv.cfg" ;;
    "-m pip") [ "$3" != install ] || [ -z "${PIP_FAILS:-}" ] ;;
esac
"""


class Checkout:
    """A folder with the tools and the settings they read, and the fake Python beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.log = folder / "log.txt"
        self.python = folder / "python3.99"
        (self.root / "tools").mkdir(parents=True)
        for name in ("tools/demo", "tools/test", "tools/setup_environment.sh", "setup.cfg"):
            shutil.copy(ROOT / name, self.root / name)
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)

    def run(self, command: str, *arguments: str, **environment: str) -> list[str]:
        """What the fake Python was asked to do; raises if the command fails."""
        self.log.write_text("")
        self.answer = subprocess.run(
            ["bash", str(self.root / command), *arguments],
            env={**os.environ, "PYTHON": str(self.python), "LOG": str(self.log), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return self.log.read_text().splitlines()

    def installs(self, *arguments: str, **environment: str) -> list[str]:
        asked = self.run("tools/test", *arguments, **environment)
        return [line for line in asked if line.startswith("-m pip install")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_call_makes_the_environment_and_installs(checkout: Checkout) -> None:
    asked = checkout.run("tools/test")
    assert f"-m venv --clear {checkout.root}/.venv" in asked
    assert asked[-2].endswith(f"--editable {checkout.root}[test]")


def test_the_second_call_installs_nothing(checkout: Checkout) -> None:
    checkout.run("tools/test")
    assert checkout.installs() == []
    assert checkout.answer.stderr == ""


def test_a_changed_setup_cfg_installs_again(checkout: Checkout) -> None:
    checkout.run("tools/test")
    with (checkout.root / "setup.cfg").open("a") as file:
        file.write("# a new line\n")
    assert len(checkout.installs()) == 1


def test_a_moved_checkout_installs_again(checkout: Checkout) -> None:
    checkout.run("tools/test")
    checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))
    assert len(checkout.installs()) == 1


def test_a_failed_install_says_what_to_do_and_is_tried_again(checkout: Checkout) -> None:
    checkout.run("tools/test", PIP_FAILS="1")
    assert checkout.answer.returncode == 4
    assert "check the connection" in checkout.answer.stderr
    assert len(checkout.installs()) == 1


def test_torch_and_torchvision_come_in_one_command_from_the_chosen_index(
    checkout: Checkout,
) -> None:
    first, second = checkout.installs(PIXELETHOGRAM_TORCH_INDEX="https://example.org/cpu")
    assert first.endswith("--index-url https://example.org/cpu torch torchvision")
    assert "--editable" in second


def test_a_missing_python_is_named(checkout: Checkout) -> None:
    checkout.run("tools/test", PYTHON="/nowhere/python3")
    assert checkout.answer.returncode == 4
    assert "PYTHON=/nowhere/python3 cannot make the environment" in checkout.answer.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [("tools/test", "-m pytest -k a b"), ("tools/demo", "-m pixelethogram demo -k a b")],
)
def test_arguments_are_passed_on(checkout: Checkout, command: str, expected: str) -> None:
    assert checkout.run(command, "-k", "a b")[-1] == expected
    assert checkout.answer.returncode == 0
