"""One run's folder, whatever the verb: its plan, its record, its numbers, its page."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.runs.plan import Plan, read_plan
    from frankenstein.runs.run import Run

__getattr__, __dir__, __all__ = lazy_names(__name__)
