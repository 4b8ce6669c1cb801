"""The results of a run as a file: the figures and what they were measured on, in JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure, Target
from bench.options import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Figures, the options they were measured with, when, and on what machine."""

    options: Options
    measured_at: str
    machine: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)


def begin(options: Options) -> Results:
    """Return the results of a run that begins now; its figures are appended as they come."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Results(options=options, measured_at=now, machine=machine())


def machine() -> dict[str, Any]:
    """Return what is measured on, and how busy it is already."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def write(results: Results, path: Path) -> None:
    """Write results to a file, which replaces that of the run before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(results), ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what `write` wrote."""
    return of_json(json.loads(path.read_text(encoding="utf-8")))


def as_json(results: Results) -> dict[str, Any]:
    """Return results as JSON's types."""
    return {
        "measured_at": results.measured_at,
        "machine": results.machine,
        "options": asdict(results.options),
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
            for figure in results.figures
        ],
    }


def of_json(saved: dict[str, Any]) -> Results:
    """Return the results of which this is the JSON."""
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
        options=Options(**saved["options"]),
        measured_at=saved["measured_at"],
        machine=saved["machine"],
        figures=figures,
    )


def _target(text: str) -> Target | None:
    """Return the target of which this is the text; "" says that there is none."""
    if not text:
        return None
    sign, _, number = text.partition(" ")
    return Target(kind="min" if sign == "≥" else "max", number=float(number))
