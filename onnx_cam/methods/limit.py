"""When a map from a part of the passes is done: after so many passes, or once it is sure enough."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from onnx_cam.errors import SettingError

__all__ = ["Limit", "read_budget", "read_tolerance"]

_EXPECTED = "expected a whole number of passes, a percentage such as 10%, or a share such as 0.1"


@dataclass(frozen=True)
class Limit:
    """What a map may cost, and how sure it must be; at least one of them.

    Attributes
    ----------
    budget : int or float, optional
        Passes, or a share of those that an exact map takes.
    tolerance : float, optional
        The share left, at the upper end of its interval, at which to stop.
    """

    budget: int | float | None = None
    tolerance: float | None = None

    def passes(self, exact: int) -> int:
        """Return the passes that may be run, of `exact`; 0 stands for all of them, as in the budget itself."""
        if self.budget is None:
            return 0 if self.tolerance == 0 else exact
        return self.budget if isinstance(self.budget, int) else round(min(self.budget * exact, exact))


def read_budget(budget: object) -> int | float:
    """Return a budget as passes (int) or a share of the exact number (float).

    Parameters
    ----------
    budget : int, float or str
        ``200`` or ``"200"``: passes; ``0.1``, ``"0.1"`` or ``"10%"``: a share.

    Raises
    ------
    SettingError
    """
    found = _number(budget)
    if isinstance(found, float) and _percent(budget):
        found = min(found, 1.0)
    if found is None or not 0 <= found < math.inf or (isinstance(found, float) and found > 1):
        raise SettingError(f"budget={budget!r}; {_EXPECTED}")
    return found


def read_tolerance(tolerance: object) -> float:
    """Return a tolerance, a share left of 0 or more and below 1.

    Raises
    ------
    SettingError
    """
    found = None if _percent(tolerance) else _number(tolerance)
    if found is None or not 0 <= found < 1:
        raise SettingError(f"tolerance={tolerance!r}; expected a share left, from 0 (exact) to below 1, such as 0.05")
    return float(found)


def _number(value: object) -> int | float | None:
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[0-9]{1,12}", text):
            return int(text)
        match = re.fullmatch(r"([0-9]{0,12}(?:\.[0-9]{0,12})?)(%?)", text)
        if match is None or not re.search(r"[0-9]", match[1]):
            return None
        return float(match[1]) / (100 if match[2] else 1)
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _percent(value: object) -> bool:
    return isinstance(value, str) and value.strip().endswith("%")
