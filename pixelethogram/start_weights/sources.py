"""Where start weights come from: a setting in, names and tensors and what they are out.

The setting is `torchvision` (a download), the path of a file of weights (a state dict, or a
checkpoint of DeepEthogram), or the folder of a run.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from pixelethogram.download import fetch, hash_file
from pixelethogram.errors import InputError, UsageError
from pixelethogram.interop.deepethogram_weights import is_deepethogram
from pixelethogram.progress import Progress
from pixelethogram.runs import Run
from pixelethogram.start_weights.weights_file import read_tensors

NONE, TORCHVISION = "none", "torchvision"
IMAGENET = {
    "resnet18": "ResNet18_Weights",
    "resnet50": "ResNet50_Weights",
    "resnet3d_34": "ResNet34_Weights",
}
"""Our network -> torchvision's weights that fit its backbone, if need be repeated over time."""
RUN, DEEPETHOGRAM, STATE_DICT = "run", "DeepEthogram checkpoint", "state dict"


@dataclasses.dataclass(frozen=True)
class Source:
    """Tensors under the names they have where they come from."""

    path: Path
    kind: str
    tensors: dict[str, Tensor]
    sha256: str
    run: Run | None = None
    """The run, if it is one of ours."""


def open_source(given: str, setting: str, network: str, progress: Progress) -> Source:
    """Read start weights.

    Args:
        given: torchvision, a file or the folder of a run; not none.
        setting: The setting that says so, for errors.
        network: Name of the network to be filled, which the download depends on.
        progress: Told of a download.

    Raises:
        UsageError: torchvision has no weights for this network.
        InputError: There is no such file or run, or it holds no weights.
        ResourceError: The download failed.
    """
    if given == TORCHVISION:
        path = fetch_imagenet(network, setting, progress)
        return Source(path, "ImageNet weights", read_tensors(path, setting), hash_file(path))
    path = Path(given)
    if path.is_dir():
        return _open_run(path, setting)
    tensors = read_tensors(path, setting)
    kind = DEEPETHOGRAM if is_deepethogram(tensors) else STATE_DICT
    return Source(path, kind, tensors, hash_file(path))


def fetch_imagenet(network: str, setting: str, progress: Progress) -> Path:
    """ImageNet weights of a network, downloaded once into torch's own cache.

    They are torchvision's first ones (V1). The newer ones were trained with smoothed labels, whose
    features transfer worse (Kornblith et al. 2021).
    """
    if network not in IMAGENET:
        raise UsageError(
            f"torchvision has no start weights for {network}",
            where=setting,
            do=f"give a file of weights or the folder of a run, or {NONE}; "
            f"torchvision has some for {', '.join(IMAGENET)}",
        )
    import torchvision  # takes a second

    url = getattr(torchvision.models, IMAGENET[network]).IMAGENET1K_V1.url
    name = url.rpartition("/")[2]
    return fetch(
        url,
        Path(torch.hub.get_dir()) / "checkpoints" / name,
        sha256=name.rpartition("-")[2].partition(".")[0],
        progress=progress,
        otherwise=f"set {setting} to the path of a file of weights, or to {NONE}",
    )


def _open_run(folder: Path, setting: str) -> Source:
    run = Run(folder)
    if not (folder / "run.yaml").is_file() or not run.finished:
        raise InputError(
            f"{folder} is not the folder of a finished run",
            where=setting,
            why="it is PROJECT/runs/STAGE/ID, and holds results.yaml once the run is finished",
            do="see the runs of a project: pixelethogram status PROJECT",
        )
    return Source(folder, RUN, run.load_weights(), run.results["weights_sha256"], run)
