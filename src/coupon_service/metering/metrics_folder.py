"""The folder in which the worker processes keep what they count, so that it can be added up."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

# The Prometheus client's own variable.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextlib.contextmanager
def metrics_folder(*, wanted: bool) -> Iterator[None]:
    """Provide a private folder to the processes started meanwhile, if metrics are wanted."""
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(
        prefix="coupon-service-metrics-", ignore_cleanup_errors=True
    ) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
