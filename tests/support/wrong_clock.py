"""The application on a host whose clock is wrong; for `uvicorn --factory`."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

from coupon_service.app import App, create_app


def create_app_with_wrong_clock() -> App:
    """Shift this process's wall clock by WRONG_BY_SECONDS, and let it tick on from there."""
    shift = timedelta(seconds=int(os.environ["WRONG_BY_SECONDS"]))
    time_machine.travel(datetime.now(UTC) + shift, tick=True).start()
    return create_app()
