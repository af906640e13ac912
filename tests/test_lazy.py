import pkgutil
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

import frankenstein
from frankenstein.lazy import lazy_names

ROOMS = [f"frankenstein.{room.name}" for room in pkgutil.iter_modules(frankenstein.__path__)]


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_room_is_there_and_none_is_a_module(room):
    package = import_module(room)
    names = getattr(package, "__all__", [])
    assert names == sorted({*names})
    for name in names:
        assert not isinstance(getattr(package, name), type(package)), name
    assert {*names} <= {*dir(package)}


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(ImportError, match="cannot import name 'Digit'"):
        from frankenstein.data import Digit  # noqa: F401


def test_a_name_must_not_be_that_of_its_module(tmp_path, monkeypatch):
    init = tmp_path / "attic" / "__init__.py"
    init.parent.mkdir()
    init.write_text("if TYPE_CHECKING:\n    from frankenstein.attic.lenet import lenet\n")
    attic = SimpleNamespace(__file__=str(init))
    monkeypatch.setitem(sys.modules, "frankenstein.attic", attic)
    with pytest.raises(ImportError, match=r"lenet of frankenstein\.attic is a module, too"):
        lazy_names("frankenstein.attic")
