"""A Dask worker in this process: `python -m frankenstein.studies.cluster.serving`, a JSON on stdin.

{"scheduler": FILE_OR_ADDRESS, "insecure": false, "gpus": 0, "parent": PID}
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import dask
from distributed import Worker
from distributed.utils import get_ip

from frankenstein.studies.cluster.connection import is_loopback, read_address
from frankenstein.studies.cluster.settings import NO_PAGES, SETTINGS, say_less

_CLOSING = 8  # seconds for a run to stop


async def serve(scheduler: str, insecure: bool, gpus: int, parent: int) -> int:
    """Serve until the scheduler is gone or a signal comes; 0 then."""
    found = read_address(scheduler, insecure)
    host = found.address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    worker = Worker(
        found.address,
        nthreads=1,  # one run at a time
        host="127.0.0.1" if is_loopback(host) else get_ip(host),
        security=found.security(),
        resources={"GPU": gpus} if gpus else {},
        memory_limit=0,
        death_timeout=60,
        **NO_PAGES,
    )
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[object]] = []

    def stop() -> None:
        stopping.append(loop.create_task(worker.close(timeout=_CLOSING, reason="signal")))

    for signum in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signum, stop)
    watching = loop.create_task(_end_with(parent))
    async with worker:
        await worker.finished()
    watching.cancel()
    return 0


async def _end_with(parent: int) -> None:
    """End this process, and so its run, once the process that started it is gone."""
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Read what to serve, and serve it."""
    say_less()
    said = json.loads(sys.stdin.readline())
    with dask.config.set(SETTINGS):
        code = asyncio.run(serve(**said))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # whatever thread is left


if __name__ == "__main__":  # the children of its server import this file
    main()
