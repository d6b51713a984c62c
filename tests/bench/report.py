"""What a benchmark hands back: tables of numbers, with the machine and the versions they were taken on.

Medians and high percentiles instead of means: a mean hides the slow tenth that a person remembers. On
a shared machine absolute times wander, so every table has a base row and gives the ratio to it within
the same run.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PACKAGES = (
    "functions-framework", "gunicorn", "flask", "pydantic", "pg8000", "sqlglot", "duckdb", "grpcio",
    "google-cloud-bigquery", "google-cloud-firestore", "google-cloud-storage", "anthropic",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A promise of the specification, and what was measured against it."""

    promise: str
    measured: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the figure is below the limit."""
        return self.measured < self.limit


@dataclass
class Table:
    """One table. Cells are text or numbers; numbers are shown with three significant digits."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(self, *cells: Any) -> None:
        """One more row."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{self.title}: {len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def cell(self, row: str, column: str) -> float:
        """The figure in the row that begins with this text. Raises LookupError when it is not exactly one row."""
        found = [cells for cells in self.rows if str(cells[0]).startswith(row)]
        if len(found) != 1:
            raise LookupError(f"{self.title}: {len(found)} rows begin with {row!r}")
        return float(found[0][list(self.columns).index(column)])

    def figures(self, column: str) -> list[float]:
        """A column's figures, from the first row to the last."""
        at = list(self.columns).index(column)
        return [float(cells[at]) for cells in self.rows]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: always a value that was measured."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 50)


def spread(values: Sequence[float]) -> tuple[float, float, float, float]:
    """p50, p95, p99 and the largest."""
    return (
        percentile(values, 50),
        percentile(values, 95),
        percentile(values, 99),
        max(values, default=math.nan),
    )


def machine() -> dict[str, Any]:
    """Where this runs: the part of a figure that the code does not decide."""
    memory = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field("/proc/cpuinfo", "model name"),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_at_start": [round(value, 2) for value in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def heading(about: Mapping[str, Any], command: str) -> str:
    """The lines that stand above the tables."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Command: `{command}`\n"
        f"Machine: {about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, Linux {about['kernel']}, "
        f"load average {about['load_average_at_start'][0]} at the start\n"
        f"Date: {about['date']}\n"
        f"Versions: Python {about['python']}, {versions}"
    )


def markdown(table: Table) -> str:
    """The table as aligned Markdown, so that it can be read in a terminal and pasted into the docs."""
    cells = [[_shown(cell) for cell in row] for row in table.rows]
    widths = [
        max([3, len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(table.columns)
    ]
    numeric = [
        all(isinstance(row[index], int | float) or row[index] is None for row in table.rows)
        for index in range(len(table.columns))
    ]
    lines = [f"### {table.title}", "", _line(table.columns, widths, numeric)]
    rules = [
        "-" * (width - 1) + ":" if right else "-" * width
        for width, right in zip(widths, numeric, strict=True)
    ]
    lines.append("| " + " | ".join(rules) + " |")
    lines += [_line(row, widths, numeric) for row in cells]
    if table.targets:
        lines.append("")
    for target in table.targets:
        verdict = "kept" if target.kept else "MISSED"
        lines.append(
            f"- target {target.promise} < {_shown(target.limit)} {target.unit}: "
            f"{_shown(target.measured)} {target.unit}, {verdict}"
        )
    if table.notes:
        lines += ["", *(f"{note}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def write_json(path: Path, about: Mapping[str, Any], command: str, tables: Sequence[Table]) -> None:
    """Everything again for a program that compares runs."""
    content = {
        "command": command,
        "machine": about,
        "tables": [
            {
                "title": table.title,
                "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                "targets": [asdict(target) | {"kept": target.kept} for target in table.targets],
                "notes": table.notes,
            }
            for table in tables
        ],
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        if math.isnan(cell):
            return "–"
        digits = 0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
