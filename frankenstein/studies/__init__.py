"""Many runs as one: steps that follow each other, and the page that joins finished runs."""

from frankenstein.lazy import lazily

__getattr__, __all__ = lazily(
    __name__,
    {
        "DemoPlan": "frankenstein.studies.plan",
        "ReportPlan": "frankenstein.studies.plan",
        "StudyPlan": "frankenstein.studies.plan",
    },
)
