"""The garbage collector looks through what waits seldom, and never through what was imported."""

import json
import subprocess
import sys

from support.service import environment

from coupon_service.app import NEW_OBJECTS_MAX

SHOW = """
import gc, json
from coupon_service.app import create_app
before = gc.get_freeze_count()
app = create_app()
print(json.dumps([before, gc.get_freeze_count() > 10_000, gc.get_threshold()[0], gc.isenabled()]))
"""


def test_the_application_of_a_worker_lets_the_collector_run_seldom() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=environment(database_url="postgresql://nobody@localhost/none"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ended.stdout) == [0, True, NEW_OBJECTS_MAX, True]
    assert NEW_OBJECTS_MAX == 100_000
