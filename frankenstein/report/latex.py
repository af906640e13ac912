"""A table for a paper: LaTeX with the rules of booktabs."""

from collections.abc import Collection, Sequence

from frankenstein.report.tables import format_value

_LETTERS = {
    **{one: f"\\{one}" for one in "{}&%$#_"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "±": r"$\pm$",
    "²": "$^2$",
    "†": r"$\dagger$",
    "–": "--",
}


def latex_table(
    rows: Sequence[Sequence[object]],
    header: Sequence[str],
    right: Collection[str] = (),  # columns of numbers
) -> str:
    r"""The rows in a `tabular`; it needs the package booktabs.

    >>> print(latex_table([["a → b", "1 ± 2 %"]], ["layers", "accuracy"], ["accuracy"]))
    % needs \usepackage{booktabs}
    \begin{tabular}{lr}
      \toprule
      layers & accuracy \\
      \midrule
      a $\to$ b & 1 $\pm$ 2 \% \\
      \bottomrule
    \end{tabular}
    """
    sides = "".join("r" if name in right else "l" for name in header)
    head, *body = (f"  {' & '.join(map(_escaped, row))} \\\\" for row in (header, *rows))
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{sides}}}",
            *("  \\toprule", head, "  \\midrule", *body, "  \\bottomrule"),
            "\\end{tabular}",
        ]
    )


def _escaped(cell: object) -> str:
    return "".join(_LETTERS.get(one, one) for one in format_value(cell))
