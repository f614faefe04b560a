"""Settings: presets load, layers are in order, a wrong one is refused with help."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pixelethogram.config import Config
from pixelethogram.config_layers import load_config, parse_config, preset_names, setting_rows
from pixelethogram.errors import UsageError
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def value_at(config: BaseModel, key: str) -> Any:
    for part in key.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_loads(preset: str) -> None:
    assert isinstance(load_config(preset), Config)


def test_fast_is_a_preset_and_names_the_small_networks() -> None:
    assert "fast" in preset_names()
    config = load_config("fast")
    names = (config.flow.model.name, config.features.model.name, config.sequence.model.name)
    assert names == ("tiny_motionnet", "resnet18", "tgm")


def test_weights_of_behaviors_come_from_all_layers() -> None:
    project = {"sequence": {"loss": {"positive_weights": {"groom": 5, "rear": 3}}}}
    config = load_config(None, project, ["sequence.loss.positive_weights.rear=7"])
    assert config.sequence.loss.positive_weights == {"groom": 5.0, "rear": 7.0}
    assert load_config().sequence.loss.positive_weights == {}
    with pytest.raises(UsageError, match=r"positive_weights\.rear"):
        load_config(overrides=["sequence.loss.positive_weights.rear=0"])


def test_the_settings_in_the_text_about_the_challenge_are_valid() -> None:
    text = (DOCS / "challenge.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config = load_config(None, yaml.safe_load(block)["settings"])
    assert config.sequence.loss.positive_weights == {
        "approach": 20,
        "disengaged": 50,
        "groom": 5,
        "intromission": 3,
        "mount_attempt": 100,
        "sniff_face": 20,
        "whiterearing": 10,
    }
    assert config.sequence.model.name == "multitask_mstcn2"


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="quick") as refusal:
        load_config("quick")
    assert "fast" in str(refusal.value.do)


def test_later_layers_win() -> None:
    project = {"frames": {"height": 128, "width": 96}}
    config = load_config("fast", project, ["frames.height=64"])
    assert (config.frames.height, config.frames.width) == (64, 96)
    assert load_config("fast", project).frames.height == 128
    assert load_config("fast").frames.height == 256


def test_the_last_of_equal_overrides_wins() -> None:
    assert load_config(overrides=["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("frames.height=128", 128),
        ("flow.train.steps=1e3", 1000),
        ("flow.train.learning_rate=1e-4", 1e-4),
        ("flow.train.learning_rate=0.5", 0.5),
        ("flow.train.learning_rate=1", 1.0),
        ("flow.loss.mask=false", False),
        ("flow.loss.mask=no", False),
        ("frames.fit=pad", "pad"),
        ("features.start_weights=none", "none"),
        ("features.start_weights=/data/mit Leerzeichen/é=1.pt", "/data/mit Leerzeichen/é=1.pt"),
        ("flow.loss.smoothness=[0.1, 2, 1e-3]", (0.1, 2.0, 1e-3)),
        ("split.block_frames=60", 60),
        ("split.block_frames=none", None),
        ("split.block_frames=null", None),
        ("flow.train.workers=none", None),
        ("sequence.model.name=lstm", "lstm"),
        ("flow.model.name=motionnet_lite", "motionnet_lite"),
        ("flow.loss.sparsity=none", None),
        ("flow.loss.sparsity=0", 0.0),
        ("flow.loss.smoothness_factor=1e-1", 0.1),
        (" seed =7", 7),
    ],
)
def test_an_override_of_every_type(override: str, value: Any) -> None:
    config = load_config(overrides=[override])
    found = value_at(config, override.partition("=")[0].strip())
    assert found == value
    assert type(found) is type(value)


@given(st.floats(min_value=1e-12, max_value=1e6, allow_nan=False))
@settings(max_examples=50, deadline=None)
def test_every_way_python_writes_a_number_is_read_back(number: float) -> None:
    config = load_config(overrides=[f"flow.train.learning_rate={number!r}"])
    assert config.flow.train.learning_rate == number


def test_one_changed_setting_leaves_the_defaults_of_its_section_alone() -> None:
    config = load_config(
        "fast", overrides=["features.train.batch_size=4", "sequence.train.steps=7"]
    )
    assert config.features.train == Config().features.train.model_copy(update={"batch_size": 4})
    assert config.features.train.schedule == "plateau"
    assert (config.sequence.train.patience, config.sequence.train.workers) == (5, 0)


def test_a_network_is_exchanged_by_its_name() -> None:
    project = {"sequence": {"model": {"name": "tgm", "num_filters": 4}}}
    config = load_config("fast", project, ["sequence.model.hidden=8", "sequence.model.name=lstm"])
    assert config.sequence.model == SEQUENCE_MODELS["lstm"](hidden=8)


def test_a_setting_of_the_default_network_needs_no_name() -> None:
    assert load_config(overrides=["sequence.model.num_layers=2"]).sequence.model.name == "tgm"
    assert load_config(overrides=["flow.model.width=0.5"]).flow.model.name == "tiny_motionnet"


def test_a_setting_of_a_network_that_an_earlier_layer_chose_needs_no_name() -> None:
    project = {"flow": {"model": {"name": "motionnet"}}}
    config = load_config("fast", project, ["flow.model.width=0.5"])
    assert config.flow.model == FLOW_MODELS["motionnet"](width=0.5)


@pytest.mark.parametrize("preset", [None, "fast"])
def test_settings_of_the_default_network_do_not_reach_another_one(preset: str | None) -> None:
    project = {"flow": {"model": {"clip_length": 5}}, "sequence": {"model": {"num_filters": 4}}}
    names = ["flow.model.name=motionnet", "sequence.model.name=linear"]
    config = load_config(preset, project, names)
    assert config.flow.model == FLOW_MODELS["motionnet"]()
    assert config.sequence.model == SEQUENCE_MODELS["linear"]()


TABLES = {"flow": FLOW_MODELS, "features": FEATURES_MODELS, "sequence": SEQUENCE_MODELS}


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage, table in TABLES.items() for name in table]
)
def test_a_mistake_in_a_network_is_named_by_the_key_that_was_typed(stage: str, name: str) -> None:
    chosen = f"{stage}.model.name={name}"
    with pytest.raises(UsageError) as refusal:
        load_config(overrides=[chosen, f"{stage}.model.quux=1"])
    assert refusal.value.what == f"there is no setting {stage}.model.quux"


def test_an_impossible_value_of_any_flow_network_is_refused_by_its_key() -> None:
    for name in FLOW_MODELS:
        with pytest.raises(UsageError, match=r"setting flow.model.width = 0 is not valid"):
            load_config(overrides=[f"flow.model.name={name}", "flow.model.width=0"])


@pytest.mark.parametrize(
    ("override", "named", "remedy"),
    [
        ("frames.hieght=128", "frames.hieght", "did you mean frames.height?"),
        ("flow.trian.steps=3", "flow.trian", "did you mean flow.train?"),
        ("sed=3", "sed", "did you mean seed?"),
        ("sequence.model.num_filter=3", "sequence.model.num_filter", "sequence.model.num_filters?"),
        ("sequence.model.bidirectional=true", "sequence.model.bidirectional", "which network"),
        ("quux=3", "quux", "pixelethogram settings"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_name(
    override: str, named: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        load_config(overrides=[override])
    assert refusal.value.what == f"there is no setting {named}"
    assert remedy in str(refusal.value.do)
    assert refusal.value.where == "--set"


@pytest.mark.parametrize(
    "override",
    [
        "frames.height=16",
        "frames.height=tall",
        "frames.height=128.5",
        "frames=3",
        "flow.train.learning_rate=0",
        "flow.train.learning_rate=nan",
        "flow.loss.smoothness=[0.1, 0.2]",
        "frames.fit=crop",
        "sequence.model.name=transformer",
        "split.val=0",
        "frames.height=",
        "frames.height.width=3",
        "flow.augment.hue=0.7",
    ],
)
def test_an_impossible_value_is_refused_by_its_key(override: str) -> None:
    with pytest.raises(UsageError, match="is not valid") as refusal:
        load_config(overrides=[override])
    key = refusal.value.what.split()[1]
    assert override.startswith(key)
    assert refusal.value.do == f"see: pixelethogram settings {key}"
    assert setting_rows(key)


@pytest.mark.parametrize("override", ["frames.height", "=3", "seed=[1", ""])
def test_what_is_not_key_and_value_is_refused_with_an_example(override: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load_config(overrides=[override])
    assert refusal.value.do


def test_a_mistake_in_the_project_says_so() -> None:
    with pytest.raises(UsageError) as refusal:
        load_config("fast", {"frames": {"heigth": 3}}, ["seed=3"])
    assert refusal.value.where == "project.yaml: settings"


def test_a_run_folder_gives_the_same_settings_back() -> None:
    config = load_config("fast", overrides=["sequence.model.name=lstm", "frames.height=64"])
    assert parse_config(config.model_dump(mode="json")) == config


def test_settings_that_an_older_run_did_not_know_are_defaults() -> None:
    kept = Config().model_dump(mode="json")
    del kept["features"]["train"]["schedule"]
    del kept["flow"]["loss"]["sparsity"], kept["flow"]["loss"]["smoothness_factor"]
    assert parse_config(kept) == Config()


def test_every_setting_is_listed_and_can_be_set_to_what_the_list_says() -> None:
    for key, kind, default, meaning in setting_rows():
        assert kind and meaning, key
        section, of_network, setting = key.partition(".model.")
        network = f"{section}.model.name={meaning.partition(':')[0]}"
        names = [network] if of_network and setting != "name" else []
        load_config(overrides=[*names, f"{key}={default}"])


def test_settings_of_one_section() -> None:
    keys = [row[0] for row in setting_rows("split")]
    assert keys[:4] == ["split.by", "split.train", "split.val", "split.test"]
    assert all(key.startswith("split.") for key in keys)
    assert setting_rows("nothing") == []
