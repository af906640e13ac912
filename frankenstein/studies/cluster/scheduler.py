"""`frankenstein scheduler`: a Dask scheduler with a fresh key, for workers on several machines."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import dask
from distributed import Scheduler
from distributed.utils import get_ip
from rich.console import Console

from frankenstein.errors import Interrupted
from frankenstein.studies.cluster.connection import Address, new_key
from frankenstein.studies.cluster.settings import NO_PAGES, SETTINGS, say_less
from frankenstein.studies.plan import SchedulerPlan


def serve_scheduler(plan: SchedulerPlan) -> None:
    """Serve until a signal comes, and take the file away then."""
    say_less()
    with dask.config.set(SETTINGS):
        asyncio.run(_serve(plan.host or get_ip(), plan.port, Path(plan.file)))


async def _serve(host: str, port: int, file: Path) -> None:
    key, certificate = new_key()
    security = Address("", key, certificate).security()
    scheduler = Scheduler(
        host=host,
        port=port,
        protocol="tls",
        security=security,
        **NO_PAGES,
    )
    ended: list[int] = []
    loop = asyncio.get_running_loop()

    def stop(signum: int) -> None:
        ended.append(signum)
        closing.append(loop.create_task(scheduler.close(reason="signal")))

    closing: list[asyncio.Task[None]] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signum, stop, signum)
    async with scheduler:
        Address(scheduler.address, key, certificate).write(file)
        Console().print(f"{scheduler.address}, for those who can read {file}", highlight=False)
        try:
            await scheduler.finished()
        finally:
            file.unlink(missing_ok=True)
    if ended:
        raise Interrupted(ended[0])
