"""How many CPUs this process may use: those that it may run on, and the quota of its container.

A container that was started with `docker run --cpus 2`, or a Kubernetes pod with a limit, sees all
CPUs of its machine, and is stopped for most of the time if it starts a thread on each of them. Its
quota stands in the files of its control group, of version 1 or 2.
"""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

PROCESS = Path("/proc/self")


def usable_cpus(process: Path = PROCESS) -> int:
    """CPUs that this process may use: at least 1, a part of one counted as one."""
    quota = cpu_quota(process)
    allowed = allowed_cpus()
    return allowed if quota is None else max(1, min(allowed, ceil(quota)))


def allowed_cpus() -> int:
    """CPUs that the system lets this process run on (its affinity)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # Windows and macOS


def cpu_quota(process: Path = PROCESS) -> float | None:
    """The least quota of the control groups around this process, in CPUs; None without one.

    Args:
        process: its folder below /proc; there, `cgroup` names its groups and `mountinfo` tells
            where their files are.
    """
    quotas = [quota for folder in _groups(process) if (quota := _quota_in(folder)) is not None]
    return min(quotas, default=None)


def _groups(process: Path) -> Iterator[Path]:
    """Folders of the groups that may hold a quota: its own, and each that this is part of."""
    try:
        rows = (process / "cgroup").read_text().splitlines()
        mounts = (process / "mountinfo").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return  # no Linux, or /proc is hidden
    names: dict[str, str] = {}  # of a controller, "" for all of version 2: the group's path
    for row in rows:
        _, _, rest = row.partition(":")
        controllers, _, name = rest.partition(":")
        names |= dict.fromkeys(controllers.split(","), name)
    for mount in mounts:
        where, _, what = mount.partition(" - ")
        root, place = (where.split() + ["", ""] * 3)[3:5]
        kind, _, options = (what.split() + [""] * 3)[:3]
        controller = {"cgroup": "cpu", "cgroup2": ""}.get(kind)
        if controller is None or (controller and controller not in options.split(",")):
            continue
        # In a container the root of the mount may be the group itself, or lie elsewhere.
        name = names.get(controller, "/")
        inside = name.removeprefix(root.rstrip("/")) if name.startswith(root) else "/"
        group = Path(place, inside.strip("/"))
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(place))


def _quota_in(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        share = float(quota) / float(period)  # "max" is no number, and -1 is none either
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None
