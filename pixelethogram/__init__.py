"""Videos of animals in, ethograms out.

::

    video ── frames/ ──► clips ── flow/ ──► optic flow ─┐
                           │                            ▼
                           └──────────────────────► features/ ──► vectors (T, D)
                                                                     │
    CSV ◄── ethogram/ ◄── probabilities (T, K) ◄── sequence/ ◄───────┘
"""

__version__ = "0.1.0"
