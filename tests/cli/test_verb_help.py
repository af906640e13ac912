import pytest

from frankenstein.cli import main


@pytest.mark.parametrize("verb", ["compare", "extract", "stitch"])
def test_help_says_how_a_network_is_named(capsys, verb):
    assert main([verb, "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "or FILE.py:factory; behind it @WEIGHTS or #SEED" in page
    assert "my_nets.py:small@one.pt" in page or "'timm/resnet18#0'" in page
    assert ("the receiver" in page) == (verb != "extract")  # which has one network
