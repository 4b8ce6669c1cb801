"""What imports for the workers goes on only if there will be any."""

import subprocess
import sys

# The process that was started lives on; the one that imports would end with it anyhow.
BROKEN_OFF = """
from multiprocessing import forkserver
import psutil
from coupon_service.serving import spawning
try:
    with spawning.importing("uvicorn"):
        (importer,) = [psutil.Process(forkserver._forkserver._forkserver_pid)]
        raise RuntimeError
except RuntimeError:
    print(importer.wait(timeout=30))
"""


def test_a_start_that_fails_ends_what_it_began_to_import() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN_OFF], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "-9\n"), ended.stderr
