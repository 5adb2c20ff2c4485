"""How many cores this process may use: what its affinity and its cgroup allow, not what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cgroup_cores", "threads_to_use", "usable_cores"]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores(requested: int | None = None) -> int:
    """Return how many cores the work may be spread over: 1 at least.

    Parameters
    ----------
    requested : int, optional
        The user's ``--threads``: no more than these.

    Examples
    --------
    >>> usable_cores(1)
    1
    """
    limit = cgroup_cores()
    cores = min(_affinity(), math.inf if limit is None else math.ceil(limit))
    return max(1, int(min(cores, requested or math.inf)))


def threads_to_use(requested: int | None) -> tuple[int | None, tuple[str, ...]]:
    """Return the threads of a run that has the process to itself, and a note where they are fewer than requested.

    None leaves the number to ONNX Runtime, which takes the machine's cores and knows no cgroup.

    Examples
    --------
    >>> threads_to_use(1)
    (1, ())
    """
    cores = usable_cores(requested)
    if requested is None:
        return (cores if cores < (os.cpu_count() or 1) else None), ()
    if cores == requested:
        return cores, ()
    return cores, (f"{requested} threads were requested, and {cores} cores may be used: running on {cores}",)


def cgroup_cores(root: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> float | None:
    """Return the cores that the process's cgroup and those above it allow; None where none sets a limit.

    Half a core is 0.5. Both versions of cgroups are read: ``cpu.max``, or ``cpu.cfs_quota_us`` and
    ``cpu.cfs_period_us``. What cannot be read sets no limit.

    Parameters
    ----------
    root : Path
        Where the cgroups are mounted.
    own : Path
        The file that names the process's own cgroup.

    Examples
    --------
    >>> _ = Path("cpu.max").write_text("50000 100000")
    >>> cgroup_cores(Path("."), Path("missing"))
    0.5
    """
    limits = [limit for folder in _folders(root, own) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders that may hold a limit: those of the process's cgroup, and of the ones above it."""
    yield from (root, root / "cpu", root / "cpu,cpuacct")
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        mounts = [root] if not controllers else [root / controllers, root / "cpu"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        place = Path(path.strip().lstrip("/"))
        for folder in (place, *place.parents):
            yield from (mount / folder for mount in mounts if ".." not in folder.parts)


def _limit(folder: Path) -> float | None:
    """Return the cores that one cgroup allows."""
    try:
        if (maximum := folder / "cpu.max").exists():
            quota, period = [*maximum.read_text(encoding="ascii").split(), "100000"][:2]
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        allowed = float(quota) / float(period)  # "max" and -1 are no limit
    except (OSError, ValueError, ArithmeticError):
        return None
    return allowed if 0 < allowed < math.inf else None
