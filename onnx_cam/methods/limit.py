"""When a map from a part of the forward passes is finished: after a number of passes, or once it is precise enough."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from onnx_cam.errors import SettingError

__all__ = ["Limit", "read_budget", "read_tolerance"]


@dataclass(frozen=True)
class Limit:
    """What a map may cost and how precise it must be; at least one of the two is given.

    Attributes
    ----------
    budget : int or float, optional
        Forward passes (int), or the share of those that an exact map takes (float, 0 to 1). 0 stands for all of them.
    tolerance : float, optional
        The relative error, 0 to below 1, at which to stop; the upper end of its interval must be within it.

    Examples
    --------
    >>> Limit(budget=0.1).passes(exact=1240)
    124
    >>> Limit(tolerance=0.05).passes(exact=1240)
    1240
    """

    budget: int | float | None = None
    tolerance: float | None = None

    def passes(self, exact: int) -> int:
        """Return how many forward passes may be run.

        Parameters
        ----------
        exact : int
            The forward passes of an exact map.

        Returns
        -------
        int
            A budget in passes is returned as it is, even above `exact`; 0 stands for all passes.
        """
        if self.budget is None:
            return 0 if self.tolerance == 0 else exact
        return self.budget if isinstance(self.budget, int) else round(min(self.budget * exact, exact))


def read_budget(budget: object) -> int | float:
    """Return a budget as a number of forward passes (int), or as a share of the exact map's passes (float).

    Parameters
    ----------
    budget : int, float or str
        ``200`` or ``"200"`` is a number of passes; ``0.1``, ``"0.1"`` or ``"10%"`` is a share. Percentages above 100
        count as 100.

    Raises
    ------
    SettingError
        It is none of these, negative, or a share above 1.

    Examples
    --------
    >>> read_budget("200"), read_budget("10%"), read_budget(0.25)
    (200, 0.1, 0.25)
    """
    number = _number(budget)
    if isinstance(number, float) and _is_percentage(budget):
        number = min(number, 1.0)
    if number is None or not 0 <= number < math.inf or (isinstance(number, float) and number > 1):
        raise SettingError(
            f"invalid budget={budget!r}: expected a number of forward passes such as 200, a percentage such as 10%, "
            "or a share such as 0.1"
        )
    return number


def read_tolerance(tolerance: object) -> float:
    """Return a tolerance, a relative error of at least 0 and below 1.

    Raises
    ------
    SettingError
        It is not such a number; percentages are not accepted.

    Examples
    --------
    >>> read_tolerance("0.05")
    0.05
    """
    number = None if _is_percentage(tolerance) else _number(tolerance)
    if number is None or not 0 <= number < 1:
        raise SettingError(
            f"invalid tolerance={tolerance!r}: expected a relative error from 0 (exact) to below 1, such as 0.05"
        )
    return float(number)


def _number(value: object) -> int | float | None:
    """Return a number, or the number that a text spells, as int or float; None for anything else."""
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


def _is_percentage(value: object) -> bool:
    return isinstance(value, str) and value.strip().endswith("%")
