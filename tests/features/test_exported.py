"""Modules in files: what opens, what is refused, what stays out of the state dict."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pixelethogram.errors import InputError
from pixelethogram.features.models.exported import ExportedModule

Write = Callable[[nn.Module, Path], Path]


class Encoder(nn.Module):
    """Clips to vectors, with weights, batch statistics and a tensor made on the fly."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1)
        self.norm = nn.BatchNorm3d(4)

    def forward(self, clips: Tensor) -> Tensor:
        return self.norm(self.conv(clips)).mean(dim=(2, 3, 4)) + torch.arange(4)


def write_script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():  # torch would rather have torch.export
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(path))
    return path


def write_program(module: nn.Module, path: Path) -> Path:
    buffer = io.BytesIO()
    clips = torch.rand(2, 3, 5, 8, 8)
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(module, (clips,), dynamic_shapes=({0: batch},)), buffer)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture
def encoder() -> nn.Module:
    return Encoder().eval()


@pytest.fixture(params=[write_script, write_program])
def write(request: pytest.FixtureRequest) -> Write:
    return request.param


@pytest.fixture
def path(encoder: nn.Module, write: Write, tmp_path: Path) -> Path:
    return write(encoder, tmp_path / "my encoder é.bin")


def test_it_answers_as_the_module_that_was_exported(path: Path, encoder: nn.Module) -> None:
    module = ExportedModule(path)
    for number in (1, 2, 3):
        clips = torch.rand(number, 3, 5, 8, 8)
        assert torch.allclose(module(clips), encoder(clips), atol=1e-6)


def test_it_never_learns(path: Path) -> None:
    module = ExportedModule(path)
    clips = torch.rand(2, 3, 5, 8, 8)
    before = module(clips)
    assert not before.requires_grad
    assert list(module.parameters()) == []
    assert torch.equal(module.train()(clips), before)
    assert torch.equal(module(clips), before)


def test_it_can_be_copied(path: Path) -> None:
    module = ExportedModule(path)
    clips = torch.rand(2, 3, 5, 8, 8)
    assert torch.equal(copy.deepcopy(module)(clips), module(clips))


def test_its_state_is_the_hash_of_the_file(path: Path) -> None:
    state = ExportedModule(path).state_dict()
    assert [tuple(tensor.shape) for tensor in state.values()] == [(32,)]
    ExportedModule(path).load_state_dict(state)


def test_the_state_of_another_file_is_refused(path: Path, write: Write, tmp_path: Path) -> None:
    other = ExportedModule(write(Encoder().eval(), tmp_path / "other"))
    with pytest.raises(InputError, match="not the file that the network was trained with"):
        other.load_state_dict(ExportedModule(path).state_dict())


def test_a_missing_file_is_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file") as refusal:
        ExportedModule(tmp_path / "encoder.pt2")
    assert "torch.jit.save or torch.export.save" in str(refusal.value.do)


@pytest.mark.parametrize("content", [b"", b"not a module", b"PK\x03\x04broken"])
@pytest.mark.parametrize("name", ["encoder.pt", "encoder.pt2"])
def test_another_file_is_refused(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="is not an exported module"):
        ExportedModule(tmp_path / name)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pt2"])
def test_a_state_dict_is_refused_as_such(name: str, encoder: nn.Module, tmp_path: Path) -> None:
    torch.save(encoder.state_dict(), tmp_path / name)
    with pytest.raises(InputError, match="is not an exported module") as refusal:
        ExportedModule(tmp_path / name)
    assert "state dict" in str(refusal.value.why)


def test_a_damaged_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        damaged = bytearray(data)
        for position in torch.randint(len(data), (len(data) // 50,), generator=generator).tolist():
            damaged[position] ^= 255
        path.write_bytes(bytes(damaged))
        with pytest.raises(InputError, match="is not an exported module"):
            ExportedModule(path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_follows_the_clips_to_another_device(path: Path, encoder: nn.Module) -> None:
    module = ExportedModule(path)
    clips = torch.rand(2, 3, 5, 8, 8)
    for device in ("cuda", "cpu"):
        with torch.inference_mode():
            found = module(clips.to(device))
        assert found.device.type == device
        assert torch.allclose(found.cpu(), encoder(clips), atol=1e-4)
