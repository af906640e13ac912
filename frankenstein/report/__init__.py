"""Figures, tables, pages and the projector: what a person looks at, for every verb.

Figures are made without pyplot: they hold no global state and need no screen.
"""

from frankenstein.report.board import log_png
from frankenstein.report.charts import bars, curves
from frankenstein.report.document import Picture, write_report
from frankenstein.report.intervals import intervals
from frankenstein.report.matrices import heatmap, unit_correlations, weight_matrix
from frankenstein.report.projector import framed, log_projector
from frankenstein.report.section import Section
from frankenstein.report.short import Short, by_layer, short_number, short_view
from frankenstein.report.style import png
from frankenstein.report.tables import format_value, interval_text, markdown_table, rich_table
from frankenstein.report.terminal import terminal_matrix

__all__ = [
    "Picture",
    "Section",
    "Short",
    "bars",
    "by_layer",
    "curves",
    "format_value",
    "framed",
    "heatmap",
    "interval_text",
    "intervals",
    "log_png",
    "log_projector",
    "markdown_table",
    "png",
    "rich_table",
    "short_number",
    "short_view",
    "terminal_matrix",
    "unit_correlations",
    "weight_matrix",
    "write_report",
]
