"""The README tells the truth: its commands parse, its files exist, its lists are complete."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pixelethogram import cli
from pixelethogram.commands.session import PARTLY_DONE
from pixelethogram.config_layers import load_config, preset_names
from pixelethogram.errors import InputError, ResourceError, UsageError
from pixelethogram.ethogram.ethogram import read_csv

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GROUP: Any = typer.main.get_command(cli.app)


def blocks(language: str) -> list[str]:
    """Content of the code blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [content for name, content in found if name == language]


def spans() -> list[str]:
    """Inline code, each on one line."""
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def shell_lines() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.strip()]


def words_of(line: str) -> list[str]:
    """Words of a command line without its comment and leading assignments."""
    words = shlex.split(line, comments=True)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


def our_commands() -> list[str]:
    inline = [span for span in spans() if span.startswith("pixelethogram ")]
    typed = [line for line in shell_lines() if line.startswith("pixelethogram ")]
    return typed + [re.sub(r"[\[\]]", "", span) for span in inline]


def parse(line: str) -> dict[str, Any]:
    """Options and arguments of one of our commands, as typer reads them; nothing is run."""
    above = GROUP.make_context("pixelethogram", ["settings"], resilient_parsing=True)
    name, command, rest = GROUP.resolve_command(above, words_of(line)[1:])
    return command.make_context(name, rest, parent=above).params


def entries(tree: str) -> set[str]:
    """Paths of the drawing of the code; the branches belong to its first line."""
    found, folder = set(), ""
    for line in tree.splitlines():
        name = line.lstrip("├└─ ").split()[0]
        folder = folder if line[0] in "├└" else name
        found.add(folder + name if line[0] in "├└" else name)
    return found


@pytest.mark.parametrize("line", our_commands())
def test_every_command_parses(line: str) -> None:
    given = parse(line)
    load_config(given.get("preset"), {}, given.get("set_") or ())


@pytest.mark.parametrize("line", [line for line in shell_lines() if line not in our_commands()])
def test_every_other_line_runs_something_that_is_there(line: str) -> None:
    words = words_of(line)
    if words[0].startswith("./"):
        assert os.access(ROOT / words[0], os.X_OK)
    else:
        assert words[0] in {"pip", "conda", "python", "source"}
    for word in words:
        if word.endswith(".yml"):
            assert (ROOT / word).is_file()


def test_torch_and_torchvision_are_always_installed_together() -> None:
    lines = [words_of(line) for line in shell_lines() if "torch" in line and "pip " in line]
    assert lines
    assert all({"torch", "torchvision"} <= set(words) for words in lines)


def test_the_variable_that_chooses_torch_is_the_one_that_the_tools_read() -> None:
    assert "PIXELETHOGRAM_TORCH_INDEX" in README
    assert "PIXELETHOGRAM_TORCH_INDEX" in (ROOT / "tools" / "setup_environment.sh").read_text()


def test_every_file_it_names_exists() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    paths = [
        span for span in spans() if re.match(r"(docs|tools|tests|configs|pixelethogram)/", span)
    ]
    assert links and paths
    assert [path for path in links + paths if not (ROOT / path).exists()] == []


def test_the_tree_shows_every_module_and_every_folder() -> None:
    (tree,) = [block for block in blocks("") if block.startswith("pixelethogram/\n")]
    drawn = entries(tree)
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    package = ROOT / "pixelethogram"
    modules = {f"pixelethogram/{file.name}" for file in package.glob("*.py")}
    folders = {f"pixelethogram/{file.parent.name}/" for file in package.glob("*/__init__.py")}
    assert (modules | folders) - drawn == {"pixelethogram/__init__.py"}


def test_the_table_has_every_command() -> None:
    rows = re.findall(r"^\| `pixelethogram ([\w-]+)", README, re.MULTILINE)
    assert rows == list(GROUP.commands)


def test_commands_with_json_are_those_it_lists() -> None:
    (listed,) = re.findall(r"`--json` \(([a-z, -]+)\)", README)
    with_json = {
        name
        for name, command in GROUP.commands.items()
        if any(parameter.name == "json" for parameter in command.params)
    }
    assert set(listed.split(", ")) == with_json


def test_the_table_has_every_preset() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == preset_names()


def test_the_table_has_every_exit_code() -> None:
    ours = [kind("").exit_code for kind in (UsageError, InputError, ResourceError)]
    wanted = [0, 1, *ours, PARTLY_DONE, cli.CANCELLED]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)] == wanted


def test_the_example_of_labels_is_a_labels_file(tmp_path: Path) -> None:
    (text,) = blocks("csv")
    path = tmp_path / "mouse 1.labels.csv"
    path.write_text(text, encoding="utf-8")
    behaviors = parse(next(line for line in our_commands() if " new " in line))["behaviors"]
    ethogram = read_csv(path, behaviors.split(","), None, fps=30.0)
    assert set(ethogram.values.ravel().tolist()) == {-1, 0, 1}


def test_the_changelog_tells_of_this_version() -> None:
    from pixelethogram import __version__

    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
