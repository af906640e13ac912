"""`frankenstein open`: a run's page, or that of all runs, in a browser."""

import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from frankenstein.cli.words import Words
from frankenstein.errors import PlanError
from frankenstein.runs.plan import Command, Plan
from frankenstein.runs.schema import option

WORDS = Words(
    about="",
    examples="""
        frankenstein open
        frankenstein open results/stitch/RUN
        """,
    positionals=("folder",),
)
_PAGES = ("report.html", "index.html")


@dataclass(frozen=True, kw_only=True)
class OpenPlan(Plan):
    """A page that is opened."""

    verb: ClassVar[str] = "open"

    folder: str = option("results", "folder of a run, or of all runs")

    def check(self) -> None:
        """Refuse a folder without a page."""
        if not any((Path(self.folder) / name).is_file() for name in _PAGES):
            raise PlanError(f"{self.folder} has no {' or '.join(_PAGES)}; is it a folder of runs?")


def open_page(plan: OpenPlan, command: Command) -> None:
    """Print where the page is, and show it where there is a browser."""
    page = next(path for name in _PAGES if (path := Path(plan.folder, name)).is_file())
    sys.stdout.write(f"{page}\n")
    webbrowser.open(page.resolve().as_uri())
