"""The results of a run as a file: the figures and what they were measured on, in JSON."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure, Target
from bench.options import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Figures, the options they were measured with, and what they were measured on."""

    figures: list[Figure]
    options: dict[str, int]
    machine: dict[str, Any]
    measured_at: str


def write(figures: Iterable[Figure], path: Path, options: Options) -> None:
    """Write figures as a file, which replaces the one of the run before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(figures, options), ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what `write` wrote."""
    return of_json(json.loads(path.read_text(encoding="utf-8")))


def as_json(figures: Iterable[Figure], options: Options) -> dict[str, Any]:
    """Return the figures, their options and the machine as JSON's types."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "options": asdict(options),
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


def of_json(saved: dict[str, Any]) -> Results:
    """Return what `as_json` was given, from what it returned."""
    figures = [
        Figure(
            row=each["row"],
            title=each["title"],
            values=each["values"],
            unit=each["unit"],
            target=_target(each["target"]),
            beside=each["beside"],
        )
        for each in saved["figures"]
    ]
    return Results(
        figures=figures,
        options=saved["options"],
        machine=saved["machine"],
        measured_at=saved["measured_at"],
    )


def _target(text: str) -> Target | None:
    """Return the target of which this is the text; "" says that there is none."""
    if not text:
        return None
    sign, _, number = text.partition(" ")
    return Target(kind="min" if sign == "≥" else "max", number=float(number))


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
