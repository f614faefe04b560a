"""What became of an order: fine, or the very error that stopped it."""

import pytest

from pixelethogram.errors import InputError, UsageError
from pixelethogram.features.extracted import NOTHING, Extracted, Format


@pytest.mark.parametrize("error", [InputError("broken", do="mend"), UsageError("no", do="yes")])
def test_an_order_that_failed_raises_why(error: InputError | UsageError) -> None:
    Extracted("a", 10, Format(48, 64, 30.0), None).check()
    with pytest.raises(type(error)) as raised:
        Extracted("a", 0, NOTHING, error).check()
    assert raised.value is error
