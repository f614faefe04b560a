"""The drawing of the house stays true: floors, stages, names, sizes, a test file per module."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
NAME = "pixelethogram"

# A module belongs to the longest entry that is its name or a folder it lies in. Imports point down.
FLOORS = {
    "": 0,  # the package itself: __version__
    "atomic": 0,
    "errors": 0,
    "safe_npy": 0,
    "progress": 0,
    "flow": 0,  # flow.models, flow.losses
    "features": 0,  # features.models
    "sequence": 0,  # sequence.models, sequence.windows
    "training": 0,  # training.losses
    "ethogram": 0,
    "pose": 0,
    "pose.readers": 2,
    "pose.pose_file": 2,
    "pose.hdf5_files": 2,
    "settings": 0,
    "splits": 0,
    "assignment": 0,
    "start_weights": 0,
    "config": 1,
    "config_layers": 1,
    "configs": 1,
    "catalogue": 1,
    "download": 2,
    "frames": 2,
    "project": 2,
    "label_files": 2,
    "group_table": 2,
    "metadata": 2,
    "threshold_table": 2,
    "recordings": 2,
    "runs": 2,
    "store": 2,
    "training.weighing": 0,
    "training.device": 3,
    "training.layout": 3,
    "training.live_tensors": 3,
    "training.fit": 3,
    "training.classifier": 3,
    "start_weights.sources": 3,
    "start_weights.naming": 3,
    "start_weights.load": 3,
    "start_weights.adopt": 3,
    "flow.task": 4,
    "flow.train": 4,
    "features.folding": 0,
    "features.shared_flow": 0,
    "features.train": 4,
    "features.batches": 4,
    "features.pictures": 4,
    "features.clip_cutter": 0,
    "features.engine": 4,
    "features.extract": 4,
    "features.extracted": 4,
    "features.keypoints": 4,
    "sequence.train": 4,
    "sequence.predict": 4,
    "sequence.ensemble": 4,
    "sequence.heads": 4,
    "lineage": 5,
    "cached_features": 5,
    "spans": 5,
    "sequence_data": 5,
    "stages": 5,
    "pose_training": 5,
    "memory_plan": 5,
    "pipeline": 5,
    "inference": 5,
    "extraction": 5,
    "video_results": 5,
    "parallel_prediction": 5,
    "predicted_files": 5,
    "evaluation": 5,
    "evaluation_tables": 5,
    "verdict": 5,
    "repeated_splits": 5,
    "split_training": 5,
    "human_ceiling": 5,
    "project_evaluation": 5,
    "protocols": 5,
    "intake": 5,
    "label_check": 5,
    "learning_curve": 5,
    "reporting": 6,
    "alarms": 5,
    "unlike_training": 5,
    "behavior_statistics": 5,
    "overview": 5,
    "interop": 6,
    "interop.deepethogram_weights": 2,  # names only; start weights of any stage need them
    "toy": 6,
    "demo": 6,
    "measuring": 5,
    "benchmark": 6,
    "benchmark_subject": 6,
    "training_benchmark": 6,
    "drawing_benchmark": 6,
    "doctor": 6,
    "terminal": 6,
    "commands": 6,
    "cli": 6,
    "__main__": 6,
}
NO_FLOOR_BY_FOLDER = {"flow", "features", "sequence", "training"}  # each module there is listed
STAGES = ("flow", "features", "sequence")
PURE_FOLDERS = ("models", "losses", "windows")

LIGHTNING = {"pytorch_lightning", "lightning"}
MAY_IMPORT_LIGHTNING = {"training.fit", "training.classifier", "flow.task"}
MAY_IMPORT_MATPLOTLIB = {"ethogram.plots", "reporting.figures"}
HEAVY = {
    *LIGHTNING,
    *("torch", "torchvision", "torchmetrics", "kornia", "cv2", "av", "h5py"),
    *("sklearn", "scipy", "matplotlib"),
}
FORBIDDEN_NAMES = {"utils", "util", "common", "base", "core", "helpers", "manager", "misc"}
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 400

# Test files without a module of the same name, and modules that another test file covers.
WIDE_TESTS = {
    "test_architecture.py",
    "test_contributing.py",
    "test_drawn_projects.py",
    "test_presets.py",
    "test_readme.py",
    "ethogram/test_masked_frames.py",
    "tools/test_all_tools.py",
}


def module_files() -> dict[str, Path]:
    """Each module without the leading package name ("" is the package itself), and its file."""
    files = {
        ".".join(path.relative_to(ROOT / NAME).with_suffix("").parts): path
        for path in (ROOT / NAME).rglob("*.py")
    }
    files["configs.__init__"] = ROOT / "configs" / "__init__.py"
    return {
        name.removesuffix("__init__").removesuffix("."): file
        for name, file in sorted(files.items())
    }


MODULES = module_files()
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}
PACKAGES = {name for name, file in MODULES.items() if file.name == "__init__.py"}


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: no function bodies, no `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from at_import(child)


def imported(name: str, tree: ast.Module, *, only_at_import: bool = False) -> set[str]:
    """Dotted names that a module imports; `from a import b` counts as both a and a.b."""
    package = [NAME, *name.split(".")] if name else [NAME]
    if name not in PACKAGES:
        package = package[:-1]
    found: set[str] = set()
    for node in at_import(tree) if only_at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found.add(source)
            found.update(f"{source}.{alias.name}" for alias in node.names)
    return found


def of_ours(names: set[str]) -> set[str]:
    """The modules of this package among dotted names."""
    inside = {name.removeprefix(NAME).removeprefix(".") for name in names if is_ours(name)}
    return {name for name in inside if name in MODULES and name}


def is_ours(name: str) -> bool:
    return name == NAME or name.startswith(f"{NAME}.")


def foreign(names: set[str]) -> set[str]:
    """Top-level packages of other people among dotted names."""
    return {name.split(".")[0] for name in names if not is_ours(name)}


IMPORTS = {name: imported(name, tree) for name, tree in TREES.items()}


def reached(name: str, *, only_at_import: bool = False) -> set[str]:
    """Other people's packages that a module imports, itself or through modules of ours."""
    seen: set[str] = set()
    todo, packages = [name], set()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        names = imported(module, TREES[module], only_at_import=only_at_import)
        packages |= foreign(names)
        parts = module.split(".")
        todo += [".".join(parts[:end]) for end in range(1, len(parts))]
        todo += of_ours(names)
    return packages


def floor_of(name: str) -> int | None:
    """Floor of a module; None when the table does not know it."""
    parts = name.split(".") if name else []
    for end in range(len(parts), 0, -1):
        entry = ".".join(parts[:end])
        if entry in FLOORS:
            pure = end == len(parts) or parts[end] in PURE_FOLDERS
            return FLOORS[entry] if pure or entry not in NO_FLOOR_BY_FOLDER else None
    return FLOORS[""] if not parts else None


def stage_of(name: str) -> str | None:
    folder = name.split(".")[0]
    return folder if folder in STAGES else None


def test_every_module_has_a_floor() -> None:
    assert [name for name in MODULES if floor_of(name) is None] == []


def test_imports_point_down() -> None:
    floors = {name: floor_of(name) or 0 for name in MODULES}
    upward = [
        f"{name} (floor {floors[name]}) imports {other} (floor {floors[other]})"
        for name, names in IMPORTS.items()
        for other in of_ours(names)
        if floors[other] > floors[name]
    ]
    assert upward == []


def test_stages_never_import_each_other() -> None:
    sideways = [
        f"{name} imports {other}"
        for name, names in IMPORTS.items()
        for other in of_ours(names)
        if stage_of(name) and stage_of(other) and stage_of(name) != stage_of(other)
    ]
    assert sideways == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    waiting = {name: of_ours(IMPORTS[name]) - {name} for name in MODULES}
    while free := {name for name, others in waiting.items() if not others & waiting.keys()}:
        waiting = {name: others for name, others in waiting.items() if name not in free}
    assert sorted(waiting) == []


def test_only_three_modules_import_lightning() -> None:
    users = {name for name, names in IMPORTS.items() if foreign(names) & LIGHTNING}
    assert users - MAY_IMPORT_LIGHTNING == set()


def test_only_plots_imports_matplotlib() -> None:
    users = {name for name, names in IMPORTS.items() if "matplotlib" in foreign(names)}
    assert users - MAY_IMPORT_MATPLOTLIB == set()


def test_ethograms_and_splits_need_no_torch() -> None:
    torchless = [name for name in MODULES if name.split(".")[0] in ("ethogram", "splits")]
    assert [name for name in torchless if "torch" in reached(name)] == []


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    doors = [name for name in ("", "cli", "__main__") if name in MODULES]
    assert {name: reached(name, only_at_import=True) & HEAVY for name in doors} == {
        name: set() for name in doors
    }


def test_setup_cfg_lists_every_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = settings["options"]["packages"].split()
    assert listed == sorted(f"{NAME}.{name}".removesuffix(".") for name in PACKAGES)


def test_every_module_has_a_docstring() -> None:
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_package_files_hold_a_docstring_only() -> None:
    with_contract = {
        *("", "flow.models", "features.models", "sequence.models"),
        *("pose.features", "pose.readers"),
    }
    code = [
        name
        for name in PACKAGES - with_contract
        if any(not isinstance(node, ast.Expr) for node in TREES[name].body)
    ]
    assert code == []


def test_no_module_is_called_by_a_name_that_says_nothing() -> None:
    assert [name for name in MODULES if set(name.split(".")) & FORBIDDEN_NAMES] == []


def mirrors(name: str) -> list[Path]:
    """Test files that may cover a module: its own one, or its stage's one over all models.

    The folder models/ is not repeated below tests/<stage>/; commands may share test_cli.py.
    """
    *folders, stem = name.split(".")
    if folders == ["commands"]:
        return [TESTS / "commands" / f"test_{stem}.py", TESTS / "test_cli.py"]
    if folders[-1:] == ["models"]:
        folder = TESTS.joinpath(*folders[:-1])
        return [folder / f"test_{stem}.py", folder / "test_models.py"]
    return [TESTS.joinpath(*folders, f"test_{stem}.py")]


def test_every_module_has_its_test_file() -> None:
    modules = [name for name in MODULES if name not in PACKAGES and name != "__main__"]
    assert [name for name in modules if not any(map(Path.exists, mirrors(name)))] == []


def test_every_test_file_has_its_module() -> None:
    known = {file for name in MODULES for file in mirrors(name)}
    known |= {TESTS / "tools" / f"test_{file.stem}.py" for file in (ROOT / "tools").iterdir()}
    known |= {TESTS / name for name in WIDE_TESTS}
    known |= {TESTS / name / "test_models.py" for name in STAGES}
    assert sorted(set(TESTS.rglob("test_*.py")) - known) == []


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """Lines of a function's body that are neither docstring nor comment nor empty."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    texts = [line.strip() for line in lines[body[0].lineno - 1 : function.end_lineno]]
    return sum(bool(text) and not text.startswith("#") for text in texts)


def test_functions_are_short() -> None:
    long = [
        f"{name}.{node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and code_lines(node, MODULES[name].read_text().splitlines()) > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_files_are_short() -> None:
    lengths = {name: len(file.read_text().splitlines()) for name, file in MODULES.items()}
    assert {name: count for name, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_the_checker_sees_every_way_to_import() -> None:
    tree = ast.parse(
        "import torch.nn as nn\n"
        "from pixelethogram.flow import task\n"
        "from . import splits\n"
        "from .frames.clips import clip_indices\n"
        "def late():\n    import av\n"
    )
    everything = imported("cli", tree)
    assert foreign(everything) == {"torch", "av"}
    assert {f"{NAME}.flow.task", f"{NAME}.splits", f"{NAME}.frames.clips"} <= everything
    assert foreign(imported("cli", tree, only_at_import=True)) == {"torch"}


def test_a_new_module_in_a_stage_needs_an_entry_in_the_table() -> None:
    floors = {name: floor_of(name) for name in ("flow.task", "flow.models.raft", "flow.new", "new")}
    assert floors == {"flow.task": 4, "flow.models.raft": 0, "flow.new": None, "new": None}
