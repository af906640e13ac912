import runpy
from pathlib import Path

HERE = Path(__file__).parent


def test_every_line_that_mutations_takes_out_is_still_there():
    guards = runpy.run_path(str(HERE / "mutations.py"))["GUARDS"]

    gone = [
        guard.name
        for guard in guards
        if guard.line not in (HERE.parent / "frankenstein" / guard.file).read_text()
    ]

    assert not gone
