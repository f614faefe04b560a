"""Commands as a user types them: help, exit codes, messages, JSON."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import typer.main

from pixelethogram import cli
from pixelethogram.config import EthogramConfig
from pixelethogram.config_layers import setting_rows
from pixelethogram.errors import InputError, PixelethogramError, ResourceError
from pixelethogram.ethogram.ethogram import Ethogram, write_csv
from pixelethogram.evaluation import evaluate
from pixelethogram.project import Project, create_project
from pixelethogram.project_evaluation import ProjectArrays, judge_arrays
from pixelethogram.splits import Segment
from pixelethogram.verdict import Verdict

COMMANDS = [
    *("demo", "doctor", "new", "add", "import", "labels", "status", "draw", "train", "extract"),
    *("predict", "evaluate", "raters", "stats", "learning-curve", "report", "export", "benchmark"),
    *("models", "settings"),
]
HEAVY = ("torch", "torchvision", "pytorch_lightning", "kornia", "cv2", "av", "h5py", "matplotlib")
BEHAVIORS = ("à gauche", "à droite")
STARTED = {
    "source": "weights.pth",
    "kind": "state dict",
    "network": "resnet18",
    "matched": 240,
    "adapted": {"motion.backbone.conv1.weight": "3 -> 20 channels"},
    "new": 4,
    "ignored": 2,
}

# Says for each command line whether it ended well, and which heavy packages it had loaded.
LIGHT = """
import json, sys
from pixelethogram.cli import main
loaded = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["pixelethogram", *command, "--help"]
    try:
        main()
    except SystemExit as stop:
        heavy = [name for name in json.loads(HEAVY) if name in sys.modules]
        loaded[" ".join(command)] = [stop.code, heavy]
print(json.dumps(loaded))
"""


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run a command line as the installed program does."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["pixelethogram", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        found = capsys.readouterr()
        return Result(int(stop.value.code or 0), found.out, found.err)

    return run_command


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "my project é", BEHAVIORS)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A recording with labels beside it."""
    path = tmp_path / "new videos" / "souris 1.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file["movie"] = np.zeros((10, 32, 32), np.uint8)
    values = np.zeros((10, 2), np.int8)
    values[:4] = [1, -1]
    write_csv(Ethogram(values, BEHAVIORS, 30.0), path.with_name("souris 1.labels.csv"))
    return path


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `pixelethogram new` meet an error."""

    def meet(error: BaseException) -> None:
        def create(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("pixelethogram.project.create_project", create)

    return meet


def only_json(result: Result) -> Any:
    """The one JSON object that is all of standard output."""
    lines = result.out.splitlines()
    assert len(lines) == 1, result.out
    return json.loads(lines[0])


# help


def test_the_commands_are_those_of_the_plan() -> None:
    assert list(typer.main.get_command(cli.app).commands) == COMMANDS  # type: ignore[attr-defined]


def test_no_command_loads_anything_heavy_to_explain_itself() -> None:
    lines = [[], *([command] for command in COMMANDS)]
    code = LIGHT.replace("HEAVY", repr(json.dumps(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(lines)], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == {" ".join(line): [0, []] for line in lines}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_says_what_it_is_for(
    run: Callable[..., Result], command: str
) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert "Usage: " in result.out
    for parameter in typer.main.get_command(cli.app).commands[command].params:  # type: ignore[attr-defined]
        text = getattr(parameter, "help", None)
        assert text, f"{command} {parameter.name}"
        assert text.split()[0] in result.out


def test_the_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pixelethogram", "new", "--behaviors"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--behaviors" in done.stderr


def test_without_a_command_the_help_is_shown(run: Callable[..., Result]) -> None:
    result = run()
    assert all(command in result.out + result.err for command in COMMANDS)


# exit codes


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("new",),
        ("new", "p"),
        ("status", "p", "--quickly"),
        ("train", "everything", "p"),
        ("settings", "nonsense"),
    ],
)
def test_wrong_arguments_end_with_2(run: Callable[..., Result], words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.code == 2
    assert result.err and not result.out


def test_wrong_settings_and_devices_end_with_2(
    run: Callable[..., Result], project: Project
) -> None:
    result = run("train", "all", project.folder, "--set", "frames.hieght=3")
    assert result.code == 2
    assert "did you mean frames.height?" in result.err
    assert run("train", "all", project.folder, "--preset", "huge").code == 2
    assert run("train", "all", project.folder, "--device", "tpu").code == 2


def test_impossible_names_end_with_2(run: Callable[..., Result], tmp_path: Path) -> None:
    assert run("new", tmp_path / "p", "--behaviors", "lick,frame").code == 2
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("command", ["status", "extract", "evaluate", "predict"])
def test_a_folder_that_is_no_project_ends_with_3(
    run: Callable[..., Result], tmp_path: Path, command: str
) -> None:
    result = run(command, tmp_path)
    assert result.code == 3
    assert result.err.startswith("error: this is not a project\n  where: ")
    assert "  do:    " in result.err


@pytest.mark.parametrize("command", ["extract", "evaluate", "predict"])
def test_what_needs_training_says_so_and_ends_with_3(
    run: Callable[..., Result], project: Project, command: str
) -> None:
    result = run(command, project.folder)
    assert result.code == 3
    assert "pixelethogram train" in result.err


def test_training_without_videos_ends_with_3(run: Callable[..., Result], project: Project) -> None:
    result = run("train", "flow", project.folder, "--device", "cpu")
    assert result.code == 3
    assert "pixelethogram add" in result.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PixelethogramError("odd"), 1),
        (InputError("bad labels"), 3),
        (ResourceError("no memory"), 4),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.h5"), 4),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "a.h5"), 4),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.h5"), 4),
        (MemoryError(), 4),
        (RuntimeError("file write failed: errno = 28, error message = …"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_trouble_has_its_exit_code_and_one_message(
    run: Callable[..., Result], fail: Callable[[BaseException], None], error: Exception, code: int
) -> None:
    fail(error)
    result = run("new", "p", "--behaviors", "lick")
    assert result.code == code
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.startswith("cancelled" if code == 130 else "error: ")


def test_a_full_disk_is_told_in_words(
    run: Callable[..., Result], fail: Callable[[BaseException], None]
) -> None:
    fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.h5"))
    err = run("new", "p", "--behaviors", "lick").err
    assert err.splitlines()[:2] == ["error: the disk is full", "  where: a.h5"]
    assert "same command again" in err


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "x"), ValueError(), RuntimeError()])
def test_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[[BaseException], None], error: Exception
) -> None:
    fail(error)
    monkeypatch.setattr(sys, "argv", ["pixelethogram", "new", "p", "--behaviors", "lick"])
    with pytest.raises(type(error)):
        cli.main()


# project commands


def test_from_nothing_to_the_command_that_trains(
    run: Callable[..., Result], tmp_path: Path, movie: Path
) -> None:
    folder = tmp_path / "été 2026" / "mon projet"
    made = run("new", folder, "--behaviors", "à gauche, à droite")
    assert made.code == 0
    assert f'next: pixelethogram add "{folder}"' in made.out
    added = run("add", folder, movie)
    assert added.code == 0, added.err
    assert "10 of 10 frames scored; frames present: à gauche 4, à droite 0" in added.out
    shown = run("status", folder)
    assert shown.code == 0
    assert "souris 1" in shown.out
    last = shown.out.splitlines()[-1]
    assert last == f'next: pixelethogram train all "{folder}" --preset fast'


def test_labels_can_be_imported_under_any_name(
    run: Callable[..., Result], project: Project, movie: Path, tmp_path: Path
) -> None:
    labels = movie.with_name("souris 1.labels.csv").rename(tmp_path / "scored by Zoë.csv")
    assert run("add", project.folder, movie).code == 0
    lost = run("import", project.folder, labels)
    assert lost.code == 3
    assert "souris 1" in lost.err
    found = run("import", project.folder, labels, "--video", "souris 1")
    assert (found.code, found.out[:8]) == (0, "souris 1")
    named = labels.rename(tmp_path / "souris 1.csv")
    assert run("import", project.folder, named).code == 0


def test_one_broken_video_ends_with_5_and_the_others_are_added(
    run: Callable[..., Result], project: Project, movie: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 40)
    result = run("add", project.folder, tmp_path / "broken.mp4", movie)
    assert result.code == 5
    assert result.err == f"failed: 1\n  {tmp_path / 'broken.mp4'}\n"
    assert [video.name for video in project.videos()] == ["souris 1"]


def test_settings_are_explained(run: Callable[..., Result]) -> None:
    result = run("settings")
    assert result.code == 0
    for key, _, default, meaning in setting_rows():
        assert f"{key} = {default} " in result.out
        assert f"    {meaning}\n" in result.out


def test_settings_of_a_section(run: Callable[..., Result]) -> None:
    out = run("settings", "frames").out
    assert "frames.height = 256   (int)" in out
    assert "flow." not in out


# JSON


def test_status_ends_with_json(run: Callable[..., Result], project: Project, movie: Path) -> None:
    run("add", project.folder, movie)
    result = run("status", project.folder, "--json")
    content = only_json(result)
    assert content["columns"][-2:] == list(BEHAVIORS)
    assert content["rows"] == [["souris 1", None, 10, 10, 4, 0]]
    assert "souris 1" in result.err


def test_models_ends_with_json(run: Callable[..., Result]) -> None:
    result = run("models", "--json")
    assert result.code == 0, result.err
    networks = {each["name"]: each for each in only_json(result)["networks"]}
    assert networks["tiny_motionnet"]["parameters"] == 1_951_784
    assert networks["external"]["parameters"] is None
    for word in ("flow", "features", "sequence", *networks, "depends on the file"):
        assert word in result.err


def test_doctor_ends_with_json(run: Callable[..., Result]) -> None:
    result = run("doctor", "--json")
    assert result.code == 0
    assert "torch" in only_json(result)


def test_a_sick_machine_ends_with_4(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixelethogram.doctor import Finding

    finding = Finding("torchvision", "0.20", "install both in one command", fatal=True)
    monkeypatch.setattr("pixelethogram.doctor.examine", lambda: [finding])
    result = run("doctor")
    assert result.code == 4
    assert "install both in one command" in result.out


def test_demo_ends_with_json(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def run_demo(folder: Path, device: str, console: Any) -> dict[str, Any]:
        console.print(f"demo in {folder} on {device}")
        return {"macro_f1": 0.95, "seconds": 1.0, "ethogram": folder / "a.csv"}

    monkeypatch.setattr("pixelethogram.demo.run_demo", run_demo)
    result = run("demo", "somewhere", "--device", "cpu", "--json")
    assert only_json(result) == {
        "macro_f1": 0.95,
        "seconds": 1.0,
        "ethogram": str(Path("somewhere") / "a.csv"),
    }
    assert result.err == "demo in somewhere on cpu\n"


@pytest.fixture
def trained(project: Project, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The pipeline with its work left out: notes what is asked for, answers at once."""
    asked: list[tuple[str, Any]] = []
    results = {"loss": 0.5, "start_weights": STARTED}
    settings = EthogramConfig(chance_repetitions=2)
    flow = SimpleNamespace(id="1", stage="flow", folder=Path("runs/1"), results=results)
    sequence = SimpleNamespace(id="2", stage="sequence", folder=Path("runs/2"), results={})
    bouts = np.tile(np.eye(2, dtype=np.int8), (10, 1))
    labels = np.repeat(bouts, [1, 1, *[5, 6] * 9], axis=0)[:100]
    parts = {part: [Segment("a", 0, 100)] for part in ("train", "val", "test")}
    evaluation = evaluate(
        {"a": labels},
        {"a": labels * 0.8 + 0.1},
        parts,
        BEHAVIORS,
        exclusive=False,
        settings=settings,
        seed=0,
    )
    judged_run: Any = SimpleNamespace(
        id="2",
        folder=Path("runs/2"),
        behaviors=BEHAVIORS,
        exclusive=False,
        config=SimpleNamespace(ethogram=settings, seed=0),
        results={"decision": evaluation.decision.to_dict()},
    )
    probabilities = {"sequence": {"a": labels * 0.8 + 0.1}}
    arrays = ProjectArrays(judged_run, {"a": labels}, probabilities, parts, {"a": 30.0})
    judgement = judge_arrays(arrays, evaluation, "test")
    assert judgement is not None
    verdict = Verdict(judged_run, "test", {"sequence": evaluation}, {("sequence", ""): judgement})

    def answer(name: str, value: Any) -> None:
        def act(job: Any, *rest: Any, **named: Any) -> Any:
            asked.append(
                (name.rpartition(".")[2], (job.config, job.resume, *rest, *named.values()))
            )
            return value

        monkeypatch.setattr(f"pixelethogram.{name}", act)

    answer("pipeline.train_one", flow)
    answer("pipeline.train_all", sequence)
    answer("pipeline.try_stage", "features")
    answer("pipeline.try_all", ["flow", "features"])
    answer("extraction.extract_project", 3)
    answer("pipeline.predict_project", sequence)
    answer("verdict.judge_project", verdict)
    return SimpleNamespace(folder=project.folder, asked=asked)


def test_a_stage_is_trained_with_the_settings_asked_for(
    run: Callable[..., Result], trained: SimpleNamespace
) -> None:
    chosen = ("--preset", "fast", "--set", "seed=3", "--set", "flow.train.learning_rate=1e-4")
    options = (*chosen, "--device", "cpu", "--no-resume", "--json")
    result = run("train", "flow", trained.folder, *options)
    assert result.code == 0, result.err
    ((name, (config, resume, stage)),) = trained.asked
    assert (name, stage, resume) == ("train_one", "flow", False)
    assert (config.seed, config.flow.train.learning_rate) == (3, 1e-4)
    assert only_json(result) == {
        "run": "1",
        "folder": str(Path("runs/1")),
        "results": {"loss": 0.5, "start_weights": STARTED},
    }


def test_training_a_stage_shows_what_became_of_its_start_weights(
    run: Callable[..., Result], trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("train", "features", trained.folder)
    assert "start weights (resnet18)" in result.out
    rows = [line.replace("│", " ").split() for line in result.out.splitlines()]
    assert ["matched", "240"] in rows
    adapted = "motion.backbone.conv1.weight (3 -> 20 channels)"
    assert ["adapted", "1", *adapted.split()] in rows
    monkeypatch.setitem(STARTED, "kind", "")  # nothing was asked for
    assert "start weights" not in run("train", "features", trained.folder).out


def test_training_takes_over_what_its_start_weights_were_trained_with(
    run: Callable[..., Result], trained: SimpleNamespace, tmp_path: Path
) -> None:
    import torch

    first = {"spatial_classifier.0.conv1.weight": torch.ones(1, 3, 1, 1)}
    torch.save({"state_dict": first}, tmp_path / "checkpoint.pt")
    given = f"features.start_weights={tmp_path / 'checkpoint.pt'}"
    run("train", "features", trained.folder, "--set", given)
    run(
        "train", "features", trained.folder, "--set", given, "--set", "features.model.flow_weight=1"
    )
    models = [config.features.model for _, (config, *_) in trained.asked]
    assert {model.spatial_view for model in models} == {"deepethogram"}
    assert [model.flow_weight for model in models] == [1.5, 1]


def test_training_the_sequence_model_leaves_ethograms_and_shows_scores(
    run: Callable[..., Result], project_copy: Project
) -> None:
    for video in project_copy.videos():
        video.ethogram_path.unlink()
    options = ("--device", "cpu", "--set", "sequence.train.steps=2", "--json")
    result = run("train", "sequence", project_copy.folder, *options)
    assert result.code == 0, result.err
    assert set(only_json(result)["sequence"]) == {"val", "test"}
    assert all(video.ethogram_path.is_file() for video in project_copy.videos())
    assert "sequence model goes with its features" in result.err


def test_training_everything_ends_with_the_scores(
    run: Callable[..., Result], trained: SimpleNamespace
) -> None:
    result = run("train", "all", trained.folder, "--json")
    assert [name for name, _ in trained.asked] == ["train_all", "judge_project"]
    assert set(only_json(result)["sequence"]) == {"val", "test"}
    *_, places, last = result.err.splitlines()
    assert str(trained.folder / "videos" / "NAME" / "ethogram.csv") in places
    assert last.startswith("next: pixelethogram ")


@pytest.mark.parametrize(
    ("stage", "asked", "tried"),
    [("all", "try_all", ["flow", "features"]), ("features", "try_stage", ["features"])],
)
def test_a_dry_run_trains_nothing(
    run: Callable[..., Result],
    trained: SimpleNamespace,
    stage: str,
    asked: str,
    tried: list[str],
) -> None:
    result = run("train", stage, trained.folder, "--dry-run", "--json")
    assert [name for name, _ in trained.asked] == [asked]
    assert only_json(result) == {"dry_run": tried}


def test_evaluate_shows_scores_beside_chance(
    run: Callable[..., Result], trained: SimpleNamespace
) -> None:
    shown = run("evaluate", trained.folder)
    assert shown.code == 0
    for word in ("scores on the test part", "chance", "macro", *BEHAVIORS, "sequence"):
        assert word in shown.out
    content = only_json(run("evaluate", trained.folder, "--json"))
    assert content["sequence"]["test"]["macro_f1"] > 0.9
    assert content["sequence"]["test"]["chance"]["macro_f1"] < 0.9


def test_extract_says_how_much_it_did(run: Callable[..., Result], trained: SimpleNamespace) -> None:
    assert "extracted 3 videos" in run("extract", trained.folder, "--overwrite").out
    run("extract", trained.folder, "--exact")
    assert [arguments[-2:] for _, arguments in trained.asked] == [(True, False), (False, True)]


def test_predicting_the_videos_of_a_project_ends_with_json(
    run: Callable[..., Result], trained: SimpleNamespace, movie: Path
) -> None:
    run("add", trained.folder, movie)
    result = run("predict", trained.folder, "--json")
    ethogram = trained.folder / "videos" / "souris 1" / "ethogram.csv"
    assert only_json(result) == {"run": "2", "ethograms": {"souris 1": str(ethogram)}}
    assert str(ethogram).replace("souris 1", "NAME") in result.err


def test_predicting_the_videos_of_a_project_again_overwrites_what_is_done(
    run: Callable[..., Result], trained: SimpleNamespace
) -> None:
    run("predict", trained.folder)
    run("predict", trained.folder, "--overwrite", "--threshold", "left=0.5")
    asked = [arguments[-2:] for _, arguments in trained.asked]
    assert asked == [(False, []), (True, ["left=0.5"])]


@pytest.mark.parametrize(
    "words",
    [
        *(("--out", "out"), ("--exact",), ("--json-lines",), ("--shard", "1/2"), ("--fps", "30")),
        *(("--size", "10x10"), ("--rater", "anna"), ("--no-summary",)),
    ],
)
def test_what_only_new_videos_can_have_is_refused_for_those_of_a_project(
    run: Callable[..., Result], trained: SimpleNamespace, words: tuple[str, ...]
) -> None:
    result = run("predict", trained.folder, *words)
    assert result.code == 2
    assert f"{words[0]}: only for videos from outside the project" in result.err
    assert trained.asked == []


def test_all_devices_for_the_videos_of_a_project_is_refused_with_the_reason(
    run: Callable[..., Result], trained: SimpleNamespace
) -> None:
    result = run("predict", trained.folder, "--device", "all")
    assert result.code == 2
    assert "shares videos from outside the project among the GPUs" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--threshold", "foo=2"), "names no behavior"),
        (("--rater", "carl"), "choose one of anna, ben"),
        (("--size", "10"), "is no size"),
    ],
)
def test_what_is_wrong_with_all_devices_is_said_once_before_any_is_started(
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    message: str,
) -> None:
    from pixelethogram import inference, parallel_prediction

    sequence = SimpleNamespace(behaviors=("lick",), results={"raters": ["anna", "ben"]})
    monkeypatch.setattr(inference, "find_sequence_run", lambda _: sequence)
    monkeypatch.setattr(parallel_prediction, "predict_on_devices", None)  # would fail otherwise
    result = run("predict", tmp_path, tmp_path, "--device", "all", *words)
    assert (result.code, message in result.err) == (2, True), result.err


def test_all_devices_are_told_everything(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pixelethogram import inference, parallel_prediction

    told: list[Any] = []

    def predict_on_devices(*_: Any, options: list[str], **__: Any) -> list[Any]:
        told.append(options)
        return []

    sequence = SimpleNamespace(
        id="7", folder=tmp_path, behaviors=("lick",), results={"raters": ["anna", "ben"]}
    )
    monkeypatch.setattr(inference, "find_sequence_run", lambda _: sequence)
    monkeypatch.setattr(parallel_prediction, "predict_on_devices", predict_on_devices)
    words = ["--overwrite", "--exact", "--threshold", "lick=0.2", "--fps", "30.0"]
    words += ["--size", "8x9", "--rater", "ben"]
    assert run("predict", tmp_path, tmp_path, "--device", "all", *words).code == 0
    assert told == [words]


@pytest.mark.parametrize("words", [("--video", "a"), ("--rater", "a"), ("--size", "8x8")])
def test_options_of_one_file_are_refused_for_a_challenge(
    run: Callable[..., Result], project: Project, words: tuple[str, str]
) -> None:
    result = run("import", project.folder, "train.npy", "--from", "calms21", *words)
    assert result.code == 2
    assert f"{words[0]} cannot be used with --from calms21" in result.err


@pytest.mark.parametrize("words", [("--task", "1"), ("--part", "train")])
def test_options_of_a_challenge_are_refused_for_other_files(
    run: Callable[..., Result], project: Project, words: tuple[str, str]
) -> None:
    result = run("import", project.folder, "a.csv", *words)
    assert (result.code, "can only be used with --from calms21" in result.err) == (2, True)


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("skipped", 0), ("failed", 5)])
def test_predicting_new_videos_ends_with_json_and_5_when_one_failed(
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: str,
    code: int,
) -> None:
    from pixelethogram import inference
    from pixelethogram.video_results import VideoResult

    results = [
        VideoResult(tmp_path / "é.mp4", "done", 10, 2.0, tmp_path / "a", {"lick": 0.5}),
        VideoResult(tmp_path / "b.mp4", status, error="broken"),
    ]
    models = SimpleNamespace(run=SimpleNamespace(id="7"), behaviors=("lick",))
    monkeypatch.setattr(inference, "load_models", lambda *_: models)
    monkeypatch.setattr(inference, "predict_videos", lambda *_, **__: results)
    result = run("predict", tmp_path, tmp_path, "--out", tmp_path / "out", "--json")
    assert result.code == code
    content = only_json(result)
    assert content["run"] == "7"
    assert [video["status"] for video in content["videos"]] == ["done", status]
    assert content["videos"][0]["share"] == {"lick": 0.5}
    summary = (tmp_path / "out" / "summary.csv").read_text("utf-8").splitlines()
    assert summary[0] == "recording,status,frames,lick,error"
    assert [line.split(",")[1] for line in summary[1:]] == ["done", status]
    assert ("failed: 1" in result.err) == (code == 5)
    lines = result.err.splitlines()
    assert f"results: {tmp_path / 'out'}" in lines
    assert f"one row per video: {tmp_path / 'out' / 'summary.csv'}" in lines


@pytest.mark.parametrize("device", ["cpu", "all"])
def test_files_of_labels_are_not_predicted(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str
) -> None:
    from pixelethogram import inference, parallel_prediction

    asked: list[list[Path]] = []

    def predict(_: Any, sources: list[Path], *__: Any, **___: Any) -> list[Any]:
        asked.append(sources)
        return []

    sequence = SimpleNamespace(id="7", folder=tmp_path, behaviors=("lick",), results={})
    models = SimpleNamespace(run=sequence, behaviors=("lick",))
    monkeypatch.setattr(inference, "find_sequence_run", lambda _: sequence)
    monkeypatch.setattr(inference, "load_models", lambda *_: models)
    monkeypatch.setattr(inference, "predict_videos", predict)
    monkeypatch.setattr(parallel_prediction, "predict_on_devices", predict)
    pose, labels = tmp_path / "a.csv", tmp_path / "a.labels.csv"
    both = run("predict", tmp_path, labels, pose, "--device", device, "--json-lines")
    assert (both.code, both.out, asked) == (0, "", [[pose]])
    assert "a.labels.csv holds labels and is no recording: skipped" in both.err
    alone = run("predict", tmp_path, labels, "--device", device)
    assert alone.code == 2
    assert alone.err.startswith("error: a.labels.csv holds labels and is no recording")
    assert len(asked) == 1


def test_people_who_scored_the_same_videos_are_compared(
    run: Callable[..., Result], project: Project, movie: Path
) -> None:
    assert run("add", project.folder, movie).code == 0
    labels = movie.with_name("souris 1.labels.csv")
    nobody = run("raters", project.folder)
    assert (nobody.code, "--rater" in nobody.err) == (3, True)
    assert run("import", project.folder, labels, "--rater", "anna").code == 0
    result = run("raters", project.folder, "--json")
    assert result.code == 0, result.err
    (pair,) = only_json(result)["pairs"]
    assert (pair["raters"], pair["macro_f1"]) == (["labels", "anna"], 0.5)
    assert "labels / anna" in result.err


def test_a_trained_project_is_judged_by_every_metric(
    run: Callable[..., Result], project_copy: Project
) -> None:
    short = run("evaluate", project_copy.folder)
    full = run("evaluate", project_copy.folder, "--full", "--json")
    assert (short.code, full.code) == (0, 0)
    assert "edit_of_order" not in short.out
    assert "edit_of_order" in full.err
    assert len(short.out.splitlines()) < 40
    assert set(only_json(full)["judgements"]) >= {"sequence", "features"}


def test_a_threshold_of_an_unknown_behavior_is_refused(
    run: Callable[..., Result], project_copy: Project
) -> None:
    result = run("predict", project_copy.folder, "--threshold", "nothing=0.5")
    assert (result.code, "names no behavior" in result.err) == (2, True)


# poses


def test_a_pose_is_added_imported_and_drawn(
    run: Callable[..., Result], project: Project, movie: Path, tmp_path: Path
) -> None:
    parts = (("nose", 8), ("tail_base", -8))
    rows = [f"{frame},1,{part},{16 + shift},16" for frame in range(10) for part, shift in parts]
    table = tmp_path / "m.csv"
    table.write_text("\n".join(["video_frame,mouse_id,bodypart,x,y", *rows]))
    assert run("add", project.folder, table).code == 5
    refused = run("add", project.folder, table, "--size", "32", "--fps", 20)
    assert (refused.code, "is no size" in refused.err) == (2, True)
    assert run("add", project.folder, table, "--size", "32x32", "--fps", 20).code == 0
    assert project.video("m").fps == 20
    assert run("add", project.folder, movie).code == 0
    done = run("import", project.folder, table, "--video", "souris 1")
    assert (done.code, "1 x 2 keypoints" in done.out) == (0, True)
    assert project.video("souris 1").read_pose().num_frames == 10
    output = tmp_path / "drawn.mp4"
    size = ("--set", "frames.height=64", "--set", "frames.width=96")
    shown = run("draw", project.folder, "m", "-o", output, "--start", 2, "--stop", 8, *size)
    assert (shown.code, "6 frames, 96 x 64" in shown.out, output.is_file()) == (0, True, True)
    written = output.read_bytes()
    again = run("draw", project.folder, "m", "-o", output, *size)
    assert (again.code, "--overwrite" in again.err, output.read_bytes()) == (2, True, written)
    assert run("draw", project.folder, "m", "-o", output, "--overwrite", *size).code == 0
    nothing = run("draw", project.folder, "m", "-o", tmp_path / "n.mp4", "--start", 10, *size)
    assert (nothing.code, "no frame" in nothing.err) == (2, True)
    maps = tmp_path / "maps.h5"
    shown = run("draw", project.folder, "m", "-o", maps, "--heatmaps", "limbs", *size)
    assert (shown.code, "10 frames" in shown.out, maps.is_file()) == (0, True, True)
    rates = run("draw", project.folder, "m", "--benchmark", *size)
    assert (rates.code, "composite" in rates.out) == (0, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "needs a file"),
        (["-o", "maps.h5"], "heat-maps are written to an .h5 file"),
        (["-o", "maps.mp4", "--heatmaps", "keypoints"], "heat-maps are written to an .h5 file"),
        (["-o", "maps.h5", "--heatmaps", "paws"], 'no heat-maps of "paws"'),
        (["-o", "drawn.mp4", "--device", "cuda"], "--device cuda: only for"),
        (["--benchmark", "-o", "drawn.mp4", "--stop", 0], "-o, --stop: only for a file"),
        (["--benchmark", "--heatmaps", "limbs", "--start", 1], "--heatmaps, --start: only for"),
    ],
)
def test_drawing_refuses_what_does_not_fit(
    options: list[object], reason: str, run: Callable[..., Result], project: Project
) -> None:
    refused = run("draw", project.folder, "m", *options)
    assert (refused.code, reason in refused.err) == (2, True)


def test_heat_maps_are_drawn_on_the_device_of_the_command(
    run: Callable[..., Result], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, asked = tmp_path / "m.csv", []
    rows = [f"{frame},1,{part},9,{y}" for frame in range(3) for part, y in (("nose", 9), ("a", 5))]
    table.write_text("\n".join(["video_frame,mouse_id,bodypart,x,y", *rows]))
    assert run("add", project.folder, table, "--size", "32x32", "--fps", 20).code == 0
    monkeypatch.setattr("pixelethogram.training.device.choose_device", lambda wanted: wanted)
    monkeypatch.setattr(
        "pixelethogram.frames.heatmap_file.write_heatmaps",
        lambda *_, device, **__: asked.append(device),
    )
    maps = ("-o", tmp_path / "maps.h5", "--heatmaps", "keypoints")
    assert run("draw", project.folder, "m", *maps, "--device", "cuda").code == 0
    assert asked == ["cuda"]


def test_a_stage_is_trained_on_keypoints(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "poses"
    assert run("new", folder, "--behaviors", "near").code == 0
    near = np.arange(60) // 10 % 2
    for number in range(3):
        rows = [
            f"{frame},{mouse},{part},{40 + shift},{40 + (mouse - 1) * (40 - 30 * near[frame])}"
            for frame in range(60)
            for mouse in (1, 2)
            for part, shift in (("nose", 8), ("tail_base", 0))
        ]
        table = tmp_path / f"m{number}.csv"
        table.write_text("\n".join(["video_frame,mouse_id,bodypart,x,y", *rows]))
        labels = "\n".join(f"{frame},{value}" for frame, value in enumerate(near))
        table.with_suffix(".labels.csv").write_text(f"frame,near\n{labels}\n")
    files = sorted(tmp_path.glob("*.csv"))
    assert len(files) == 6
    assert run("add", folder, *files, "--size", "100x100", "--fps", 30).code == 0
    settings = [
        f"features.{each}"
        for each in ("model.name=keypoints", "phases.spatial=4", "train.batch_size=8")
    ]
    chosen = [word for each in settings for word in ("--set", each)]
    done = run("train", "features", folder, *chosen, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    assert only_json(done)["results"]["start_weights"]["kind"] == ""


def test_new_videos_give_a_line_of_json_each_and_a_part_has_a_summary_of_its_own(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pixelethogram import inference
    from pixelethogram.video_results import VideoResult

    asked: dict[str, Any] = {}

    def predict_videos(*_: Any, tell: Callable[[VideoResult], None], **named: Any) -> Any:
        asked.update(named)
        results = [VideoResult(tmp_path / name, "done", 10, 2.0) for name in ("a.mp4", "b.mp4")]
        for result in results:
            tell(result)
        return results

    models = SimpleNamespace(run=SimpleNamespace(id="7"), behaviors=("lick",))
    monkeypatch.setattr(inference, "load_models", lambda *_: models)
    monkeypatch.setattr(inference, "predict_videos", predict_videos)
    options = ("--out", tmp_path / "out", "--json-lines", "--shard", "2/3", "--exact")
    result = run("predict", tmp_path, tmp_path, *options)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["source"] for line in lines] == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    assert (asked["shard"], asked["exact"]) == ((2, 3), True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.2-of-3.csv"]


@pytest.mark.parametrize("words", [("--shard", "4/3"), ("--device", "cuda:x")])
def test_parts_and_devices_that_cannot_be_are_refused(
    run: Callable[..., Result], tmp_path: Path, words: tuple[str, str]
) -> None:
    assert run("predict", tmp_path, tmp_path, *words).code == 2


def test_the_benchmark_leaves_a_table_and_json(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pixelethogram import benchmark

    row = {"case": "fast 96x64 stride 1 fp32", "end_to_end": 12.5, "stride": 1}
    found = {"machine": {"device": "cpu: test"}, "cases": [row], "ratios": {}}
    asked: list[Any] = []
    kept: list[Any] = []

    def run_cases(cases: Any, keep: Callable[[Any], None], **named: Any) -> Any:
        asked.append([case.name for case in cases])
        keep({**found, "cases": []})
        keep({**found, "ratios": {"first": 1}})
        kept.append((json.loads(files[1].read_text()), files[3].read_text().splitlines()[1]))
        return found

    monkeypatch.setattr(benchmark, "run_cases", run_cases)
    files: tuple[Any, ...] = ("--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv")
    options = ("--quick", "--size", "96x64", "--precision", "fp32", "--device", "cpu")
    result = run("benchmark", *options, *files)
    assert result.code == 0, result.err
    assert asked == [["fast 96x64 stride 1 fp32", "fast 96x64 stride 10 fp32"]]
    assert kept == [({**found, "ratios": {"first": 1}}, "fast 96x64 stride 1 fp32,12.5,1")]
    assert " 12.5 " in result.out
    assert json.loads((tmp_path / "a.json").read_text()) == found
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "case,end_to_end,stride"
    assert run("benchmark", "--size", "64").code == 2
