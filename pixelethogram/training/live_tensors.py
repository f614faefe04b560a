"""How much memory tensors take while code runs, counted operation by operation."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """Follows all tensors that are made, and dropped, in its context.

    Tensors that share memory count once. What an operation allocates and frees within itself is
    not seen. Tensors without memory (`FakeTensorMode`) count as if they had it.

    Args:
        ignored: Tensors that were there before and do not count, e.g. weights.

    Attributes:
        peak: Most bytes that were held at any time.
    """

    def __init__(self, ignored: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.peak = 0
        self._held = 0
        self._sizes: dict[int, int] = {}
        self._ignored = {id(each): each for each in map(_storage, ignored)}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        self.peak = max(self.peak, self._held)
        return result

    def _add(self, storage: UntypedStorage) -> None:
        number = id(storage)
        if number not in self._sizes and number not in self._ignored:
            self._sizes[number] = storage.nbytes()
            self._held += storage.nbytes()
            weakref.finalize(storage, self._drop, number)

    def _drop(self, number: int) -> None:
        self._held -= self._sizes.pop(number)


def _storage(tensor: Tensor) -> UntypedStorage:
    return tensor.untyped_storage()
