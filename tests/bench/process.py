"""What processes cost, as the kernel counts it: CPU time, memory shared fairly, peaks.

PSS splits pages that several processes share among them, so that it can be added up; RSS can't, and
would count the gateway's preloaded code once for each worker. CPU time is what stays the same on a
machine that is busy with other things.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all that descend from it, as they are now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (stat := _stat(int(path.name))):
            children.setdefault(int(stat[1]), []).append(int(path.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_ms(pids: Iterable[int]) -> float:
    """User and system time of the processes and of their children that have ended, in milliseconds."""
    total = 0
    for pid in pids:
        if stat := _stat(pid):
            total += sum(int(value) for value in stat[11:15])
    return total * 1000 / _TICKS


def scheduled_ms(pids: Iterable[int]) -> tuple[float, float]:
    """Milliseconds that the processes' threads ran, and that they waited for a core although they could run.

    From schedstat, which counts nanoseconds and is exact where the clock ticks of `cpu_ms` are too coarse for
    a few requests. It knows the threads that live now, so it suits servers, not processes that come and go.
    """
    ran = waited = 0
    for pid in pids:
        try:
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                run, wait, _slices = path.read_text().split()
                ran, waited = ran + int(run), waited + int(wait)
        except OSError:
            continue  # It has ended meanwhile.
    return ran / 1e6, waited / 1e6


def pss_mb(pids: Iterable[int]) -> float:
    """Proportional set size of the processes together, in MiB."""
    return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in pids) / 1024


def reset_peak(pids: Iterable[int]) -> None:
    """Let the kernel count the peak of resident memory anew (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """Largest resident set since `reset_peak`, in MiB."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM") / 1024


def _kilobytes(path: str, name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    except OSError:
        return 0  # It has ended meanwhile.
    return int(found[1]) if found else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the state on; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
