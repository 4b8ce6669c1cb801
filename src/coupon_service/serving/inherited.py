"""What a worker of pyvoy is told by its supervisor, in environment variables.

Envoy's program stands between the two, so nothing else gets through.
"""

import os
from dataclasses import asdict, dataclass
from typing import Self

PREFIX = "COUPON_WORKER_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inherited:
    """The application's factory, and how to stop.

    The worker stops when `stop_fd`, a pipe, has reached its end. `admin_path` is the
    socket on which its Envoy takes commands.
    """

    application: str
    stop_fd: int
    admin_path: str
    drain_seconds_max: float

    def as_variables(self) -> dict[str, str]:
        """Return the environment variables that say this."""
        return {f"{PREFIX}{name}".upper(): str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_environment(cls) -> Self:
        """Read what the supervisor said."""
        said = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in os.environ.items()
            if name.startswith(PREFIX)
        }
        return cls(
            application=said["application"],
            stop_fd=int(said["stop_fd"]),
            admin_path=said["admin_path"],
            drain_seconds_max=float(said["drain_seconds_max"]),
        )
