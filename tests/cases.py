"""How many cases the promises of docs/reliability.md have met, counted as they are met.

    python tests/cases.py           # those of the suite
    python tests/cases.py 10000     # so many pairs of representations for each test of these
    python tests/cases.py mutants   # mutants of files alone

Not collected by pytest. Pairs are what hypothesis says that it has generated; cases are calls of a
measure, or of a stitch's `solve`, each with one of these, or mutants of a file that were read. Of
what is not generated, a second table says how many cases pytest finds in a file.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from frankenstein.catalog import STITCHES, Measure

TESTS = {
    "measures/test_measures_properties.py": "whatever_comes",
    "stitches/test_stitches_hard_cases.py": "finite_map or not_finite",
    "test_fuzz.py": "mutants",
}
CHOSEN = (  # what people do: pipes, names, moved folders, edited files, photographs as they are
    "cli/test_printing.py",
    "cli/test_interruption.py",
    "cli/test_interruption_processes.py",
    "cli/test_disk.py",
    "runs/test_run.py",
    "studies/test_study.py",
    "studies/test_cluster.py",
    "test_records.py",
    "test_hostile_files.py",
    "test_damaged_files.py",
    "data/test_files.py",
    "data/test_folder.py",
    "data/test_text.py",
    "report/test_markup.py",
)


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word.isdigit():
        os.environ["FRANKENSTEIN_CASES"] = word
    os.chdir(Path(__file__).parents[1])
    chosen = {file: words for file, words in TESTS.items() if word.isdigit() or word in words}
    files, words = [f"tests/{file}" for file in chosen], " or ".join(chosen.values())
    counted = Counted()
    code = pytest.main(["-q", "--durations=0", *files, "-k", words], plugins=[counted])
    print("\n| test | pairs | cases | of each measure, solver or file, at least |")
    print("| --- | ---: | ---: | ---: |")
    for test, calls in counted.calls.items():
        row = [counted.pairs[test] or "", calls.total(), min(calls.values())]
        cells = [f"{number:,}" if number else "" for number in row]
        print(f"| `{test}` | {' | '.join(cells)} |")
    total = sum(calls.total() for calls in counted.calls.values())
    print(f"\n{counted.pairs.total():,} pairs, {total:,} cases.")
    found = Found()
    pytest.main(["-qq", "--collect-only", *(f"tests/{file}" for file in CHOSEN)], plugins=[found])
    print("\n| file | cases |\n| --- | ---: |")
    for file, number in found.items.items():
        print(f"| `tests/{file}` | {number:,} |")
    raise SystemExit(code)


class Found:
    """A plugin of pytest that counts the cases of each file."""

    def pytest_collection_finish(self, session):
        places = [item.path.relative_to(Path("tests").resolve()) for item in session.items]
        self.items = Counter(map(str, places))


class Counted:
    """A plugin of pytest that counts calls by test and by the name of what is called or read."""

    def __init__(self):
        self.calls, self.pairs, self.inside = {}, Counter(), False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        name = item.originalname
        calls = self.calls.setdefault(name, Counter())
        with pytest.MonkeyPatch.context() as patch:
            if fuzz := getattr(item.module, "FUZZ", None):
                inside = fuzz["campaign"].__globals__
                read = inside["outcome"]

                def mutant(kind, *arguments):
                    calls[kind] += 1
                    return read(kind, *arguments)

                patch.setitem(inside, "outcome", mutant)
                return (yield)
            patch.setattr(Measure, "__call__", self.counting(name, Measure.__call__))
            for row in STITCHES.values():
                solve = self.counting(name, row.target.solve)
                patch.setattr(row.target, "solve", solve)
            return (yield)

    def pytest_runtest_teardown(self, item):
        said = getattr(item, "hypothesis_statistics", "")
        self.pairs[item.originalname] += sum(map(int, re.findall(r"(\d+) passing", said)))

    def counting(self, test, function):
        """The function, whose calls are counted unless one that is counted calls it."""

        def counted(called, *arguments, **options):
            if self.inside:
                return function(called, *arguments, **options)
            self.calls[test][getattr(called, "where", type(called).__name__)] += 1
            self.inside = True
            try:
                return function(called, *arguments, **options)
            finally:
                self.inside = False

        return counted


if __name__ == "__main__":
    main()
