import importlib
import sys

import pytest

from frankenstein.cli.errors import one_line


@pytest.mark.parametrize("kind", ["ImportError", "AttributeError", "RuntimeError"])
def test_half_a_library_is_one_line_whoever_tries_it(kind, tmp_path, monkeypatch, capsys):
    (tmp_path / "transformers").mkdir()
    (tmp_path / "transformers" / "__init__.py").write_text(f"raise {kind}('no tokenizers')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    with one_line("frankenstein train", "frankenstein train") as outcome:
        importlib.import_module("transformers")  # as torchmetrics does where it finds one
    assert outcome.code == 2
    assert capsys.readouterr().err == (
        "frankenstein train: transformers is installed in part and cannot be imported (no "
        "tokenizers), which torchmetrics tries; install it anew, or take it away\n"
    )
