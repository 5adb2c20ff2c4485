"""Where things lie: the clone, and what is shared beside it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT", "SHARED"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
"""Real models and photos; tests that want them skip where they are not."""
