"""Videos of animals in, ethograms out.

::

    video ── frames/ ──► clips ── flow/ ──► optic flow ─┐
                           │                            ▼
                           └──────────────────────► features/ ──► (T, D) ── sequence/ ──► (T, K) ── ethogram/ ──► CSV
"""

__version__ = "0.1.0"
