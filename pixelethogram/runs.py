"""A run folder: one training with its settings, parents, weights and results.

::

    <runs>/<stage>/<id>/run.yaml      stage, parents, behaviors, videos, versions, time: a run
                        config.yaml   resolved settings
                        metrics.csv   one row per validation
                        checkpoints/  only for resuming
                        weights.pt    state dict of the best weights, loaded with weights_only=True
                        training_videos.npz  what they look like (unlike_training.py), sequence only
                        results.yaml  scores, thresholds; written LAST

A run without results.yaml is not finished and is never used by another stage.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from pixelethogram.atomic import write_bytes
from pixelethogram.config import Config
from pixelethogram.config_layers import parse_config
from pixelethogram.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Stage = Literal["flow", "features", "sequence"]
STAGES: tuple[Stage, ...] = ("flow", "features", "sequence")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training; all paths are inside `folder`."""

    folder: Path

    @property
    def id(self) -> str:
        """Folder name: date, time and, in four hexadecimal digits, the fraction of the second."""
        return self.folder.name

    @property
    def stage(self) -> Stage:
        """Stage that made this run."""
        return self.record["stage"]

    @property
    def record(self) -> dict[str, Any]:
        """What was known when the run began."""
        return read_yaml(self.folder / "run.yaml")

    @property
    def config(self) -> Config:
        """All settings of this run."""
        return parse_config(read_yaml(self.folder / "config.yaml"))

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Behaviors in the order of the network's outputs."""
        return tuple(self.record["behaviors"])

    @property
    def exclusive(self) -> bool:
        """True where at most one behavior is present on a frame."""
        return bool(self.record["exclusive"])

    @property
    def finished(self) -> bool:
        """True once results.yaml is there."""
        return (self.folder / "results.yaml").is_file()

    @property
    def results(self) -> dict[str, Any]:
        """Scores, thresholds and all else that training found."""
        return read_yaml(self.folder / "results.yaml")

    @property
    def checkpoints(self) -> Path:
        """Folder of what resuming needs."""
        return self.folder / "checkpoints"

    def parent(self, stage: Stage) -> Run:
        """The run of an earlier stage that this one was built on."""
        run = Run(self.folder.parents[1] / stage / self.record["parents"][stage])
        if not run.finished:
            raise InputError(
                f"{self.stage} run {self.id} needs {stage} run {run.id}, which is not there",
                where=run.folder,
                why="only a part of the project was copied, or the run was deleted",
                do="copy the whole runs/ folder, or train again",
            )
        return run

    def load_weights(self) -> dict[str, Tensor]:
        """State dict of the best weights, on the CPU."""
        import torch

        return torch.load(self.folder / "weights.pt", map_location="cpu", weights_only=True)


def start_run(
    runs: Path,
    stage: Stage,
    config: Config,
    *,
    behaviors: tuple[str, ...],
    exclusive: bool,
    parents: Mapping[str, str],
    videos: Mapping[str, list[str]],
    fingerprint: str,
) -> Run:
    """Make a run folder.

    Args:
        runs: Folder of all runs.
        stage: Which stage.
        config: All settings.
        behaviors: In the order of the outputs.
        exclusive: At most one behavior per frame.
        parents: Stage -> id of the runs this one is built on.
        videos: Part -> names of its videos.
        fingerprint: Hash of all inputs, by which a broken-off run is found again.
    """
    now = datetime.datetime.now().astimezone()
    run = Run(runs / stage / _to_id(now))
    run.checkpoints.mkdir(parents=True)
    record = {
        "stage": stage,
        "started": now.isoformat(timespec="seconds"),
        "behaviors": list(behaviors),
        "exclusive": exclusive,
        "parents": dict(parents),
        "videos": dict(videos),
        "fingerprint": fingerprint,
        "versions": _versions(),
    }
    write_yaml(run.folder / "config.yaml", config.model_dump(mode="json"))
    write_yaml(run.folder / "run.yaml", record)
    return run


def finish_run(run: Run, weights: Mapping[str, Tensor], results: Mapping[str, Any]) -> None:
    """Write the weights, then results.yaml, which makes the run count."""
    import torch

    buffer = io.BytesIO()
    torch.save({name: tensor.detach().cpu() for name, tensor in weights.items()}, buffer)
    data = buffer.getvalue()
    write_bytes(run.folder / "weights.pt", data)
    finished = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    sha256 = hashlib.sha256(data).hexdigest()
    write_yaml(
        run.folder / "results.yaml", {**results, "finished": finished, "weights_sha256": sha256}
    )


def find_runs(runs: Path, stage: Stage, *, finished: bool = True) -> list[Run]:
    """Runs of a stage, oldest first; either the finished ones or those that were broken off."""
    folders = sorted(path.parent for path in (runs / stage).glob("*/run.yaml"))
    return [run for run in map(Run, folders) if run.finished is finished]


def latest_run(runs: Path, stage: Stage) -> Run:
    """Newest finished run of a stage.

    Raises:
        InputError: There is none.
    """
    found = find_runs(runs, stage)
    if not found:
        raise InputError(
            f"there is no finished {stage} run",
            where=runs / stage,
            do=f"pixelethogram train {stage} {runs.parent}",
        )
    return found[-1]


def read_yaml(path: Path) -> Any:
    """Content of a YAML file; an unreadable one is an InputError that names it."""
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path.name} is missing", where=path.parent) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} is not valid YAML: {error}", where=path, do="undo the last edit"
        ) from error


def write_yaml(path: Path, content: Any) -> None:
    """Write a YAML file atomically."""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    write_bytes(path, text.encode("utf-8"))


def _to_id(time: datetime.datetime) -> str:
    """Ids sort by time, also within one second."""
    return f"{time:%Y-%m-%d_%H%M%S}_{time.microsecond * 0x10000 // 1_000_000:04x}"


def _versions() -> dict[str, str]:
    packages = ("pixelethogram", "torch", "torchvision", "kornia", "pytorch-lightning", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
