"""How Dask is set up here, whatever a machine's own configuration says."""

import logging
from typing import Any

ALLOWED_FAILURES = 2  # workers that a run may end before it is given up
SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    # No pages for whoever reaches the port: they tell what is run, and one passes on requests.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # A run starts processes of its own, which a daemon must not.
    "distributed.worker.daemon": False,
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": "10s",
}
NO_PAGES: dict[str, Any] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


def say_less() -> None:
    """Dask tells of its warnings alone."""
    logging.getLogger("distributed").setLevel(logging.WARNING)
