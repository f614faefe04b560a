"""`python -m pixelethogram`."""

from __future__ import annotations

from pixelethogram.cli import main

main()
