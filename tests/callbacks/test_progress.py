"""What a progress bar shows on a terminal of 80 columns."""

import re

import pytest
from rich.console import Console

from frankenstein.report.progress import progress, progress_bar


@pytest.mark.parametrize(
    ("what", "numbers", "shown"),
    [
        ("training", "loss 0.070 held-out 0.967", "training "),
        ("dictionary of encoder.layers.encoder_layer_0.add", "loss 0.070", "dictionary of…"),
        ("dictionary of relu3", "loss 0.070 held-out 0.967", "dicti…relu3 "),
        ("editing encoder.layers.encoder_layer_0.add of the receiver", "", "editing encoder.la…"),
    ],
)
def test_bar_time_and_numbers_can_be_read_at_80_columns(what, numbers, shown):
    bar = progress_bar()
    bar.add_task(what, total=140_700, completed=60_000, numbers=numbers)
    console = Console(width=80, force_terminal=False)
    with console.capture() as page:
        console.print(bar.get_renderable())
    (line,) = page.get().splitlines()
    assert line.startswith(shown)
    assert re.search(r"[━╸╺ ]{14} +60000/140700 left +(-:--:--|\d:\d\d:\d\d)", line)
    assert line.rstrip().endswith(numbers)


def test_a_log_says_what_begins_at_once_and_what_a_training_ended_with(capsys):
    bar = progress_bar()
    with bar:
        task = bar.add_task("training", total=1200, numbers="")
        assert capsys.readouterr().out == "━ training (1,200 steps)\n"
        bar.update(task, numbers="loss 0.070")
    assert capsys.readouterr().out == "━ training done: loss 0.070\n"
    assert [*progress([1, 2], "solving", quiet=True)] == [1, 2]
    assert capsys.readouterr().out == ""
