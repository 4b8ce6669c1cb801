"""Serves one of the applications that are measured: `python -m bench.serve FACTORY`.

The settings come from the environment, like the service's own.
"""

import sys

from coupon_service.serving.server import serve
from coupon_service.settings import Settings

if __name__ == "__main__":
    serve(Settings(), sys.argv[1])
