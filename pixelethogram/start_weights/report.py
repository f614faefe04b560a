"""What became of every tensor of a network that began with start weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pixelethogram.progress import format_count

NAMES_SHOWN = 3
LISTS = ("matched", "new", "ignored")


@dataclasses.dataclass(frozen=True)
class StartReport:
    """Names as in the network; `ignored` ones as in the source, where the network has none."""

    source: str = "none"
    """What was given: a path, torchvision, or none."""
    kind: str = ""
    """What that turned out to be."""
    network: str = ""
    """Network that the weights are of."""
    sha256: str = ""
    """Of the file."""
    matched: tuple[str, ...] = ()
    """Tensors equal to the source."""
    adapted: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Tensors made from one of another shape, and how."""
    new: tuple[str, ...] = ()
    """Tensors the source has nothing for."""
    ignored: tuple[str, ...] = ()
    """Tensors of the source that the network has no use for."""
    shares: tuple[str, ...] = ()
    """Settings that the weights were trained with, and that the run has too."""
    differs: tuple[str, ...] = ()
    """Settings that the weights were trained with, where the run has others."""
    notes: tuple[str, ...] = ()
    """What the user has to check."""
    reference: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """What L2-SP pulls towards, by name: float32 start values of the matched and the adapted
    weights with two dimensions or more. No biases, no normalisation."""

    def to_dict(self) -> dict[str, Any]:
        """Counts, and the names of adapted tensors, for results.yaml."""
        return {
            "source": self.source,
            "kind": self.kind,
            "network": self.network,
            "sha256": self.sha256,
            "matched": len(self.matched),
            "adapted": dict(self.adapted),
            "new": len(self.new),
            "ignored": len(self.ignored),
            "shares": list(self.shares),
            "differs": list(self.differs),
            "notes": list(self.notes),
        }

    def to_lists(self) -> dict[str, Any]:
        """The same with all names."""
        return {**self.to_dict(), **{name: list(getattr(self, name)) for name in LISTS}}

    def to_lines(self) -> list[str]:
        """The short form for the terminal; nothing where nothing was asked for."""
        if not self.kind:
            return []
        counts = (
            f"{format_count(len(self.matched), 'tensor')} matched, {len(self.adapted)} adapted, "
        )
        counts += f"{len(self.new)} new, {len(self.ignored)} ignored"
        lines = [f"start weights: {self.source} ({self.kind}, {self.network}): {counts}"]
        if self.adapted:
            lines.append(f"  adapted: {shorten(self.adapted)}")
        if self.shares:
            lines.append(f"  used as they were trained: {', '.join(self.shares)}")
        lines += [
            f"  note: the start weights were trained with {setting}" for setting in self.differs
        ]
        return lines + [f"  note: {note}" for note in self.notes]


def shorten(adapted: Mapping[str, str]) -> str:
    """The first few adapted tensors in words.

    Example:
        >>> shorten({"conv1.weight": "3 -> 20 channels"})
        'conv1.weight (3 -> 20 channels)'
    """
    shown = [f"{name} ({how})" for name, how in list(adapted.items())[:NAMES_SHOWN]]
    more = len(adapted) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def table_rows(results: Mapping[str, Any]) -> list[list[object]]:
    """(what, tensors, names) for a table, of what `StartReport.to_dict` left in results.yaml."""
    adapted = results["adapted"]
    return [
        ["matched", results["matched"], ""],
        ["adapted", len(adapted), shorten(adapted)],
        ["new", results["new"], ""],
        ["ignored", results["ignored"], ""],
    ]
