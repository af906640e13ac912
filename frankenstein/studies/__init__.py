"""Many runs as one: steps that follow each other, and the page that joins finished runs."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.studies.plan import DemoPlan, ReportPlan, StudyPlan
    from frankenstein.studies.study import Study

__getattr__, __dir__, __all__ = lazy_names(__name__)
