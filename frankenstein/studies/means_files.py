"""The means of joined runs as files: a tidy table of numbers, and the page's table for a paper."""

import csv
import io
import math
from pathlib import Path

from frankenstein.files import write_whole
from frankenstein.report.latex import latex_table
from frankenstein.studies.finished import JoinedRuns
from frankenstein.studies.page import means_table
from frankenstein.studies.paired import paired_differences
from frankenstein.studies.paired_page import differences_csv

_HEAD = ["group", "score", "mean", "low", "high", "n", "networks"]


def save_means(joined: JoinedRuns, folder: Path) -> list[str]:
    """Write means as CSV and LaTeX, and differences as CSV if there are any; the files' names."""
    verb = "-".join(joined.verbs)
    rows, header = means_table(joined)
    words = [name.replace("/", ", ").replace("_", " ") for name in header]
    texts = {
        f"{verb}-means.csv": _tidy(joined),
        f"{verb}-means.tex": latex_table(rows, words, right=words[1:]) + "\n",
    }
    if differences := paired_differences(joined):
        texts[f"{verb}-differences.csv"] = differences_csv(differences)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [*texts]


def _tidy(joined: JoinedRuns) -> str:
    """A line for each group and score: its mean, 95 % interval, and what it is a mean of."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for group in joined.groups:
        for score in joined.scores:
            mean = joined.mean(group, score)
            ends = ["" if math.isnan(x) else x for x in (mean.value, mean.low, mean.high)]
            writer.writerow([group, score, *ends, mean.n, mean.networks])
    return text.getvalue()
