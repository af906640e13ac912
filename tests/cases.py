"""How many generated cases every measure and every solver has met, counted as they are met.

    python tests/cases.py           # those of the suite
    python tests/cases.py 10000     # so many pairs of representations for each test

Not collected by pytest. Pairs are what hypothesis says that it has generated; cases are calls of a
measure, or of a stitch's `solve`, each with one of these.
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
}


def main():
    if len(sys.argv) > 1:
        os.environ["FRANKENSTEIN_CASES"] = sys.argv[1]
    os.chdir(Path(__file__).parents[1])
    files, words = [f"tests/{file}" for file in TESTS], " or ".join(TESTS.values())
    counted = Counted()
    code = pytest.main(["-q", "--durations=0", *files, "-k", words], plugins=[counted])
    print("\n| test | pairs | cases | of each measure or solver, at least |")
    print("| --- | ---: | ---: | ---: |")
    for test, calls in counted.calls.items():
        row = [counted.pairs[test], calls.total(), min(calls.values())]
        print(f"| `{test}` | {' | '.join(f'{number:,}' for number in row)} |")
    total = sum(calls.total() for calls in counted.calls.values())
    print(f"\n{counted.pairs.total():,} pairs, {total:,} cases.")
    raise SystemExit(code)


class Counted:
    """A plugin of pytest that counts calls by test and by the name of what is called."""

    def __init__(self):
        self.calls, self.pairs, self.inside = {}, Counter(), False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        self.calls[item.name] = Counter()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Measure, "__call__", self.counting(item.name, Measure.__call__))
            for row in STITCHES.values():
                solve = self.counting(item.name, row.target.solve)
                patch.setattr(row.target, "solve", solve)
            return (yield)

    def pytest_runtest_teardown(self, item):
        said = getattr(item, "hypothesis_statistics", "")
        self.pairs[item.name] = sum(map(int, re.findall(r"(\d+) passing", said)))

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
