"""What a person and a program read of the figures: a table, and JSON."""

import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.figures import Figure

console = Console()


def number(value: float, unit: str) -> str:
    """Return a value as people read it, with its unit."""
    if unit in {"", "ms", "s"}:
        return f"{value:.2f}{unit and ' '}{unit}"
    return f"{value:,.0f} {unit}".replace(" /", "/")


def table(figures: Iterable[Figure]) -> Table:
    """Return the figures as a table for the terminal."""
    result = Table(box=None, pad_edge=False, title_justify="left")
    for heading in ("", "measure"):
        result.add_column(heading)
    for heading in ("median", "lowest – highest", "to reach"):
        result.add_column(heading, justify="right", no_wrap=True)
    result.add_column("")
    for figure in figures:
        spread = f"{number(min(figure.values), '')} – {number(max(figure.values), '')}"
        if figure.unit not in {"", "ms", "s"}:
            spread = f"{min(figure.values):,.0f} – {max(figure.values):,.0f}"
        verdict = {None: "", True: "[green]reached[/]", False: "[red]not reached[/]"}
        result.add_row(
            figure.row,
            figure.title,
            number(figure.median, figure.unit),
            spread,
            str(figure.target or ""),
            verdict[figure.is_reached],
        )
    return result


def as_json(figures: Iterable[Figure]) -> dict[str, Any]:
    """Return the figures and the machine as JSON's types."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [
            {
                "row": figure.row,
                "title": figure.title,
                "unit": figure.unit,
                "median": figure.median,
                "values": list(figure.values),
                "target": str(figure.target or ""),
                "reached": figure.is_reached,
                "beside": figure.beside,
            }
            for figure in figures
        ],
    }


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def write(figures: Iterable[Figure], path: Path) -> None:
    """Write the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(figures), ensure_ascii=False, indent=2) + "\n")
