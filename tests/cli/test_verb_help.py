import pytest

from frankenstein.catalog import MEASURES, VERBS
from frankenstein.cli import main
from frankenstein.cli.words import spoken


@pytest.mark.parametrize("verb", ["compare", "extract", "stitch"])
def test_help_says_how_a_network_is_named(capsys, verb):
    assert main([verb, "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "or FILE.py:factory; behind it @WEIGHTS or #SEED" in page
    assert "my_nets.py:small@one.pt" in page or "'timm/resnet18#0'" in page
    assert ("the receiver" in page) == (verb != "extract")  # which has one network


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_ten_options_and_help_all_has_all(capsys, verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = spoken(verb)
    assert main([verb, "--help"]) == 0
    short = capsys.readouterr().out
    assert main([verb, "--help", "all"]) == 0
    long = capsys.readouterr().out
    assert max(map(len, long.splitlines())) <= 80
    flags = [said.shown(name)[-1] for name in said.options if said.flags(name)]
    assert all(f"{flag} " in long or f"{flag}\n" in long for flag in flags)
    if said.words.first:
        assert short.count("\n  -") == len(said.words.first) + 1 == 11
        assert "--help all" in short
        for name in said.words.first:
            assert said.shown(name)[-1] in short
    else:
        assert short == long


@pytest.mark.parametrize("verb", ["compare", "stitch", "evaluate"])
def test_measures_alone_lists_them_with_a_line_each(capsys, verb):
    assert main([verb, "--measures"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in MEASURES:
        assert any(line.startswith(f"  {name}") for line in lines)
