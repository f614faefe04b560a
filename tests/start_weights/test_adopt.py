"""What start weights were trained with becomes a setting, unless somebody chose otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config
from pixelethogram.errors import InputError
from pixelethogram.runs import Run, finish_run, start_run
from pixelethogram.start_weights.adopt import load_adopted_config

VIEW, WEIGHT = "features.model.spatial_view", "features.model.flow_weight"


def found(config: Config) -> dict[str, Any]:
    model = config.features.model.model_dump()
    return {key: model[key] for key in ("spatial_view", "flow_weight") if key in model}


def begin(runs: Path, *overrides: str) -> Run:
    """A finished features run."""
    run = start_run(
        runs,
        "features",
        load_config(overrides=overrides),
        behaviors=("a",),
        exclusive=False,
        parents={},
        videos={},
        fingerprint="",
    )
    finish_run(run, {"spatial.head.bias": torch.ones(1)}, {})
    return run


def load(given: object, *overrides: str, **layers: Any) -> dict[str, Any]:
    given_as = f"features.start_weights={given}"
    return found(load_adopted_config(overrides=[given_as, *overrides], **layers))


@pytest.mark.parametrize("given", ["none", "torchvision"])
def test_without_a_file_the_defaults_stay(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(given) == found(Config())
    (tmp_path / given).mkdir()
    assert load(given) == found(Config())


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    for runs in (None, tmp_path):
        with pytest.raises(InputError, match=r"there is no nowhere.pt\n  where: features.start"):
            load("nowhere.pt", runs=runs)


def test_the_newest_run_answers_for_its_start_weights_when_they_are_gone(tmp_path: Path) -> None:
    begin(tmp_path, "features.start_weights=gone.pt", f"{VIEW}=deepethogram", f"{WEIGHT}=1.5")
    expected = {"spatial_view": "deepethogram", "flow_weight": 1.5}
    assert load("gone.pt", runs=tmp_path) == expected
    assert load("gone.pt", f"{WEIGHT}=0.5", runs=tmp_path) == {**expected, "flow_weight": 0.5}
    begin(tmp_path, "features.start_weights=other.pt")
    with pytest.raises(InputError, match="there is no gone.pt"):
        load("gone.pt", runs=tmp_path)


def test_weights_of_deepethogram_bring_their_settings(
    write_extractor: Callable[..., Path],
) -> None:
    expected = {"spatial_view": "deepethogram", "flow_weight": 1.5}
    assert load(write_extractor(3)) == expected


@pytest.mark.parametrize("layer", ["preset", "project", "set"])
def test_every_layer_wins_over_them(
    write_extractor: Callable[..., Path], layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"features": {"model": {"flow_weight": 0.5}}}
    path = write_extractor(3)
    if layer == "preset":
        monkeypatch.setattr(
            "pixelethogram.config_layers._preset", lambda name: chosen if name else {}
        )
        settings = load(path, preset="fast")
    elif layer == "project":
        settings = load(path, project_settings=chosen)
    else:
        settings = load(path, f"{WEIGHT}=0.5")
    assert settings == {"spatial_view": "deepethogram", "flow_weight": 0.5}


def test_also_the_defaults_win_when_they_are_chosen(write_extractor: Callable[..., Path]) -> None:
    assert load(write_extractor(3), f"{VIEW}=centre", f"{WEIGHT}=1.0") == found(Config())


def test_another_network_keeps_them(write_extractor: Callable[..., Path]) -> None:
    settings = load(write_extractor(3, "resnet50"), "features.model.name=resnet50")
    assert settings == {"spatial_view": "deepethogram", "flow_weight": 1.5}


def test_a_network_without_such_a_setting_goes_without(
    write_extractor: Callable[..., Path],
) -> None:
    settings = load(write_extractor(3), "features.model.name=resnet3d_34")
    assert settings == {"flow_weight": 1.5}


def test_a_run_passes_its_settings_on(tmp_path: Path) -> None:
    run = begin(tmp_path, f"{VIEW}=deepethogram", "features.model.dropout=0.7")
    assert load(run.folder) == {"spatial_view": "deepethogram", "flow_weight": 1.0}
    config = load_adopted_config(overrides=[f"features.start_weights={run.folder}"])
    assert config.features.model.dropout == Config().features.model.dropout


def test_a_backbone_was_trained_with_nothing_special(write_resnet: Callable[..., Path]) -> None:
    assert load(write_resnet()) == found(Config())


def test_a_file_of_something_else_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no weights")
    with pytest.raises(InputError, match="does not hold a state dict"):
        load(tmp_path / "text.txt")
