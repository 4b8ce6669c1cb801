"""The metrics as Prometheus knows them, and the page that shows them.

Where several processes answer on one port, the Prometheus client keeps the figures of
each in files of a common folder, and whichever of them is asked adds up all.
"""

import contextlib
import os
import re
from bisect import bisect_left
from importlib.metadata import version
from pathlib import Path

import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from coupon_service.metering.metrics_folder import FOLDER_VARIABLE

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
GROUP_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_LIVE_GAUGE = re.compile(r"gauge_live\w*_(\d+)\.db")


class Observed:
    """Values that were seen since they were last handed over, in a histogram's buckets."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Take in a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class BatchHistogram(Histogram):
    """A histogram that takes in many values at once."""

    def take(self, observed: Observed) -> None:
        """Add what was observed, and leave nothing in it."""
        self._sum.inc(observed.total)
        for bucket, count in zip(self._buckets, observed.counts, strict=True):
            bucket.inc(count)
        observed.total = 0.0
        observed.counts = [0] * len(observed.counts)


class Families:
    """Every metric of this process."""

    def __init__(self) -> None:
        self._folder = _folder()
        self._registry = CollectorRegistry()
        self._make_those_of_rpcs()
        self._make_those_of_issuing()
        version_of_this = version("coupon-service")
        self._gauge(
            "coupon_build_info",
            "Always 1; its label says which release this is.",
            ("version",),
            mode="livemax",
        ).labels(version_of_this).set(1)

    def _make_those_of_rpcs(self) -> None:
        self.rpcs = Counter(
            "coupon_rpcs",
            "Calls answered, by what they were answered with.",
            ("method", "code", "reason"),
            registry=self._registry,
        )
        self.rpc_seconds = BatchHistogram(
            "coupon_rpc_duration_seconds",
            "How long calls took, from their head to their answer.",
            ("method",),
            buckets=SECONDS_BOUNDS,
            registry=self._registry,
        )

    def _make_those_of_issuing(self) -> None:
        self.coupons = Counter(
            "coupon_coupons_issued", "Coupons issued, durably stored.", registry=self._registry
        )
        self.group_sizes = BatchHistogram(
            "coupon_claims_per_transaction",
            "Claims that went together into one transaction.",
            buckets=GROUP_BOUNDS,
            registry=self._registry,
        )
        self.group_seconds = BatchHistogram(
            "coupon_claim_transaction_duration_seconds",
            "How long transactions of claims took, waiting for the campaign's row included.",
            buckets=SECONDS_BOUNDS,
            registry=self._registry,
        )
        self.claims_waiting = self._gauge(
            "coupon_claims_waiting", "Claims in line for a transaction."
        )
        self.connections_in_use = self._gauge(
            "coupon_database_connections_in_use",
            "Database connections that are lent at the moment.",
        )

    def _gauge(
        self, name: str, description: str, labels: tuple[str, ...] = (), *, mode: str = "livesum"
    ) -> Gauge:
        return Gauge(
            name,
            description,
            labels,
            multiprocess_mode=mode,  # type: ignore[arg-type] # one of its own names
            registry=self._registry,
        )

    def page(self) -> bytes:
        """Return the figures of all processes, as Prometheus reads them."""
        if self._folder is None:
            return generate_latest(self._registry)
        _forget_dead_processes(self._folder)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, path=str(self._folder))  # type: ignore[no-untyped-call] # has no types
        return generate_latest(everybody)


def _folder() -> Path | None:
    """Return the common folder, and let the client use it; None if there is no such folder.

    The client chooses when it is imported, which may have been before the folder was.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return None
    if values.ValueClass is values.MutexValue:
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call] # has no types
    return Path(folder)


def _forget_dead_processes(folder: Path) -> None:
    """Drop how things stood with processes that are no more; what they counted stays."""
    for file in folder.glob("gauge_live*.db"):
        found = _LIVE_GAUGE.fullmatch(file.name)
        if found and not psutil.pid_exists(int(found[1])):
            # Another process may be doing the same.
            with contextlib.suppress(FileNotFoundError):
                mark_process_dead(int(found[1]), str(folder))  # type: ignore[no-untyped-call] # has no types
