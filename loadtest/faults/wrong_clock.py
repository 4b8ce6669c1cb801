"""The application on a host whose clock is wrong, for `python -m bench.serve`."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

from coupon_service.app import App
from coupon_service.app import create_app as create_right_app


def create_app() -> App:
    """Shift this process's wall clock by WRONG_BY_SECONDS, and let it tick on from there."""
    shift = timedelta(seconds=int(os.environ["WRONG_BY_SECONDS"]))
    time_machine.travel(datetime.now(UTC) + shift, tick=True).start()
    return create_right_app()
