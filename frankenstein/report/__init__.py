"""Figures, tables, pages and the projector: what a person looks at, for every verb.

Figures are made without pyplot: they hold no global state and need no screen.
"""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.report.board import framed, log_png, log_projector
    from frankenstein.report.cells import CellMatrix, cells_of
    from frankenstein.report.charts import bars, curves, intervals, plane
    from frankenstein.report.document import Finding, Fold, Picture, write_report
    from frankenstein.report.matrices import heatmap, unit_correlations, weight_matrix
    from frankenstein.report.section import Section, Short, ShortView, by_layer, short_number
    from frankenstein.report.style import png
    from frankenstein.report.tables import (
        code,
        fenced,
        format_value,
        interval_text,
        markdown_table,
        plain,
        rich_table,
    )
    from frankenstein.report.terminal import terminal_matrix

__getattr__, __dir__, __all__ = lazy_names(__name__)
