"""Settings: every one is explained, frozen and strict; every network can be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from pixelethogram.config import (
    Config,
    DrawingConfig,
    FeaturesConfig,
    FlowConfig,
    FramesConfig,
    PoseAugmentConfig,
)
from pixelethogram.config_layers import load_config
from pixelethogram.features.models import MODELS as FEATURES_MODELS
from pixelethogram.flow.models import MODELS as FLOW_MODELS
from pixelethogram.flow.models.tiny_motionnet import TinyMotionNetConfig
from pixelethogram.sequence.models import MODELS as SEQUENCE_MODELS

TABLES = {"flow": FLOW_MODELS, "features": FEATURES_MODELS, "sequence": SEQUENCE_MODELS}


def every_model_class() -> set[type[BaseModel]]:
    """Config and all classes of sections and networks that can be reached from it."""
    found: set[type[BaseModel]] = set()
    todo: list[Any] = [Config]
    while todo:
        each = todo.pop()
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in found:
            found.add(each)
            todo += [field.annotation for field in each.model_fields.values()]
        todo += get_args(each)
    return found


def docstrings() -> Iterator[tuple[str, str | None]]:
    for each in every_model_class():
        for name, field in each.model_fields.items():
            yield f"{each.__name__}.{name}", field.description


def test_settings_cannot_be_changed_after_loading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_config().frames.height = 3


def test_every_setting_has_a_docstring() -> None:
    found = dict(docstrings())
    assert len(found) > 60
    assert [name for name, text in found.items() if not (text and text.strip().endswith("."))] == []


def test_every_section_is_frozen_and_strict() -> None:
    classes = every_model_class()
    assert {each.model_config.get("extra") for each in classes} == {"forbid"}
    assert {each.model_config.get("frozen") for each in classes} == {True}


def test_every_network_of_every_stage_can_be_chosen() -> None:
    networks = {network for table in TABLES.values() for network in table.values()}
    assert networks <= every_model_class()


def test_a_stride_between_each_frame_and_each_clip_is_refused() -> None:
    assert FlowConfig(stride=10).stride == 10
    assert FlowConfig(model=TinyMotionNetConfig(clip_length=5), stride=4).stride == 4
    with pytest.raises(ValidationError, match="stride must be 1, or 10 for clips of 11 frames"):
        FlowConfig(stride=5)


def test_animals_do_not_change_places_in_a_view_of_one() -> None:
    exchange = FeaturesConfig(pose_augment=PoseAugmentConfig(exchange=0.5))
    assert Config(features=exchange).frames.pose.view == "composite"
    ego = FramesConfig(pose=DrawingConfig(view="ego"))
    with pytest.raises(ValidationError, match="needs another frames.pose.view than ego"):
        Config(features=exchange, frames=ego)
