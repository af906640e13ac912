"""`frankenstein scheduler`, where Dask may be missing."""

from frankenstein.catalog import Function
from frankenstein.runs.plan import Command
from frankenstein.studies.cluster.connection import need_cluster
from frankenstein.studies.plan import SchedulerPlan

_SERVE = Function("frankenstein.studies.cluster.scheduler:serve_scheduler")


def run_scheduler(plan: SchedulerPlan, command: Command) -> None:
    """Hand out runs until a signal comes.

    Raises:
        UserError: if Dask is not installed.
    """
    need_cluster("file")
    _SERVE(plan)
