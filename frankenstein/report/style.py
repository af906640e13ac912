"""How every figure looks, whatever a user's matplotlibrc says, and how it becomes bytes."""

import textwrap
from io import BytesIO, StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

# Okabe and Ito's colours, told apart by colour-blind readers too; without their yellow, which
# cannot be seen on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#555555"

POINTS = 72  # to the inch
DIGIT = 0.62  # width of a digit over the size of its font

RC: Any = {  # matplotlib types its keys, differently from version to version
    "font.family": ["DejaVu Sans"],  # ships inside matplotlib, so a figure is the same everywhere
    "text.parse_math": False,  # $ in the name of a class or a file is none of TeX
    "font.size": 9.0,
    "axes.titlesize": 10.5,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


def png(figure: Figure, dots_per_inch: int = 160) -> bytes:
    """The figure as a PNG file; equal data give equal bytes (no date, no version inside)."""
    buffer, canvas = BytesIO(), FigureCanvasAgg(figure)
    before = figure.dpi
    figure.set_dpi(dots_per_inch)
    try:  # not `savefig`, which draws a figure that once had a layout twice
        canvas.print_png(buffer, metadata={"Software": None})
    finally:
        figure.set_dpi(before)
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """The figure as an SVG file whose words stay words; equal data give an equal file."""
    text, before = StringIO(), figure.dpi
    try:
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "frankenstein"}):
            FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    finally:
        figure.set_dpi(before)
    return text.getvalue()


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF file whose letters are fonts; equal data give an equal file."""
    # Only here: it imports what embeds fonts, a tenth of a second.
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    buffer, before = BytesIO(), figure.dpi
    try:
        with rc_context({"pdf.fonttype": 42}):
            nothing = {"CreationDate": None, "Creator": None, "Producer": None}
            FigureCanvasPdf(figure).print_pdf(buffer, metadata=nothing)
    finally:
        figure.set_dpi(before)
    return buffer.getvalue()


def settled(figure: Figure) -> Figure:
    """The figure with its layout found once and kept: each drawing would move it a little more."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    return figure


def wrapped(title: str, width: float) -> str:
    """The title broken into lines that fit over a figure of this width in inches."""
    return textwrap.fill(title, max(16, int(width * 11)))


def legend_label(name: str) -> str:
    """A name that legends show: they leave out what begins with an underscore."""
    return f" {name}" if name.startswith("_") else name


def ink_on(colour: Any) -> str:
    """Black or white, whichever is read more easily on this colour."""
    red, green, blue = to_rgb(colour)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def to_array(values: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Numbers as a float64 array, from any device; what is not finite becomes NaN."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)
