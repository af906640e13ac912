import errno
import re
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar, Literal

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frankenstein import __version__
from frankenstein.catalog import VERBS, Verb
from frankenstein.cli import main
from frankenstein.cli.errors import one_line
from frankenstein.cli.words import Words, spoken
from frankenstein.errors import PlanError, UserError
from frankenstein.runs.fields import DatasetName, MeasureName, NetworkName
from frankenstein.runs.plan import Plan, dump
from frankenstein.runs.schema import option

ran = {}


@dataclass(frozen=True, kw_only=True)
class Devices(Plan):
    group: ClassVar[str] = "trainer"

    devices: int | Literal["auto"] = option("auto", "how many to use")


@dataclass(frozen=True, kw_only=True)
class JoinPlan(Devices):
    verb: ClassVar[str] = "join"

    sender: str = option(about="file of the network whose front is used")
    receiver: str = option(about="file of the network whose end is used")
    model: NetworkName = option("tiny10", "network of the zoo")
    dataset: DatasetName | None = option(None, "images that both see")
    epochs: int = option(30, "passes over the data")
    lr: float = option(
        0.1, "learning rate, which is cut by ten at one third and at two thirds of the epochs"
    )
    weight_decay: float = option(1e-4, "weight decay")
    optimizer: Literal["sgd", "adam"] = option("sgd", "how to descend")
    out_dir: str = option("results", "where the run folder goes")
    note: str | None = option(None, "words of your own")
    measures: list[MeasureName] = option(["unbiased_cka"], "what is computed")
    rank: int | None = option(None, "at most", least=1)
    resume: bool = option(False, "go on where a run stopped")
    bars: bool = option(True, "show no bars")

    def check(self):
        if self.rank is not None and self.note is None:
            raise PlanError("‹rank› needs ‹note› of the ‹sender›; leave ‹bars› alone")


JOIN = Words(
    about="""
        The front of one goes before the end of the other, and between the two of them stands a
        stitch.
        """,
    examples="""
        frankenstein join a b   # two   spaces
          frankenstein join a b -lr 0.01
        """,
    positionals=("sender", "receiver"),
    flags={"model": "-m"},
)


@dataclass(frozen=True, kw_only=True)
class FailPlan(Plan):
    verb: ClassVar[str] = "fail"

    kind: str = option(about="which")


def join(plan, command):
    ran["values"] = plan.values()


def fail(plan, command):
    errors = {"user": UserError("wanted a\n  b"), "bug": KeyError("x"), "stop": KeyboardInterrupt()}
    raise errors[plan.kind]


@pytest.fixture(autouse=True)
def _verbs(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shipped = dict(VERBS)
    VERBS.clear()
    rows = {"join": ("Join two networks.", JOIN), "fail": ("Fail in a given way.", Words("", ""))}
    for verb, (about, words) in rows.items():
        row = Verb(f"{__name__}:{verb.title()}Plan", about, runs=f"{__name__}:{verb}")
        VERBS[verb] = row
        words = words if verb == "join" else Words("", "", positionals=("kind",))
        module = SimpleNamespace(WORDS=words)
        monkeypatch.setitem(sys.modules, f"frankenstein.cli.verbs.{verb}", module)
    VERBS["layers"] = shipped["layers"]
    ran.clear()
    yield
    VERBS.clear()  # a table has an order, which putting rows back one by one would change
    VERBS.update(shipped)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def values(*words):
    assert main(["join", *words]) == 0
    return ran["values"]


def mistake(capsys, *words, verb=None):
    """The one line about it."""
    assert main(words, verb) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "values" not in ran
    return err[:-1]


def test_without_options_the_plan_gives_every_value():
    expected = {"model": "tiny10", "lr": 0.1, "dataset": None, "out_dir": "results"}
    assert expected.items() <= values("a", "b").items()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-m lenet -d digits", {"model": "lenet", "dataset": "digits"}),
        ("-m resnet20_w12", {"model": "resnet20_w12"}),
        ("-m torchvision/resnet18", {"model": "torchvision/resnet18"}),
        ("-lr 1e-3 -wd 0 -opt adam", {"lr": 1e-3, "weight_decay": 0.0, "optimizer": "adam"}),
        ("-lr=.5 --weight-decay=-.5", {"lr": 0.5, "weight_decay": -0.5}),
        ("--weight-decay -3 -e 2 -e 3", {"weight_decay": -3.0, "epochs": 3}),
        ("-o 7 --note 7", {"out_dir": "7", "note": "7"}),
        ("--devices 2", {"devices": 2}),
        ("--devices auto -d null", {"devices": "auto", "dataset": None}),
        ("--resume --no-bars", {"resume": True, "bars": False}),
        ("--resume --no-resume", {"resume": False}),
        ("--measures mean_cca r_squared -e 1", {"measures": ["mean_cca", "r_squared"]}),
        ("--measures=mean_cca", {"measures": ["mean_cca"]}),
    ],
)
def test_options_are_read_as_their_types(words, expected):
    got = values("a", *words.split(), "b") if "=" in words else values("a", "b", *words.split())
    assert {name: got[name] for name in expected} == expected
    assert {name: type(got[name]) for name in expected} == {n: type(v) for n, v in expected.items()}
    assert (got["sender"], got["receiver"]) == ("a", "b")


def test_positionals_stay_words_whatever_they_look_like():
    got = values("-", "{a: 3}")
    assert (got["sender"], got["receiver"]) == ("-", "{a: 3}")


@pytest.mark.parametrize("order", [["--config", "FILE", "-e", "3"], ["-e", "3", "--config=FILE"]])
def test_options_win_over_yaml_and_yaml_over_defaults_in_any_order(config, order):
    path = config("sender: a\nreceiver: b\nepochs: 2\nlr: 1e-3\nresume: true\nbars: false\n")
    got = values(*[word.replace("FILE", path) for word in order], "other")
    assert (got["sender"], got["receiver"]) == ("other", "b")
    assert (got["epochs"], got["lr"], got["model"]) == (3, 1e-3, "tiny10")
    assert (got["resume"], got["bars"]) == (True, False)


def test_a_switch_that_yaml_turns_on_can_be_turned_off(config):
    assert values("a", "b", "--config", config("resume: true"), "--no-resume")["resume"] is False


def test_an_empty_yaml_changes_nothing(config):
    assert values("a", "b", "--config", config("# nothing\n")) == values("a", "b")


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.fixed_dictionaries(
        {
            "sender": words,
            "note": words | st.sampled_from(["null", "1", "yes", "~", "[]", "1e3"]) | st.none(),
            "dataset": st.sampled_from(["digits", None]),
            "epochs": st.integers(-(2**63), 2**63 - 1),
            "lr": st.floats(allow_nan=False, allow_infinity=False),
            "out_dir": st.sampled_from(["a b", "1", "null", "é"]),
            "measures": st.lists(st.sampled_from(["mean_cca", "r_squared"])),
            "resume": st.booleans(),
            "devices": st.sampled_from([1, "auto"]),
        }
    )
)
def test_the_yaml_of_a_run_replays_it(config, some):
    run = {**values("a", "b"), **some, "resume": False}  # a resumed run is the same run
    text = dump(JoinPlan(**run))
    assert list(yaml.safe_load(text)) == list(run)
    assert values("--config", config(text)) == run


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--modle lenet", "unknown option --modle; did you mean --model? See"),
        ("--resum", "unknown option --resum; did you mean --resume? See"),
        ("--bar", "unknown option --bar; did you mean --no-bars"),  # as --help has it
        ("-d", " or <FILE>.tsv; see"),  # not: or null
        ("-l 3", "unknown option -l; did you mean -lr or --lr? See"),
        ("--mod lenet", "unknown option --mod; did you mean --model"),
        ("--no-epochs", "unknown option --no-epochs; did you mean"),
        ("-zz", "unknown option -zz; see"),
        ("--mesh", "unknown option --mesh; see"),  # nothing is near but the dashes
        ("-m tinny10", "or torchvision/<name>, got 'tinny10'; did you mean tiny10?"),
        (
            "--model=tinny10",
            "--model takes tiny10, nbn_tiny10, resnet20_w<k>, lenet, dense, dense_",
        ),
        ("-m resnet20_w<k>", "or torchvision/<name>, got 'resnet20_w<k>'; see"),
        ("-m resnet20_w0", "got 'resnet20_w0'; did you mean resnet20_w<k>?"),
        ("-opt rms", "-opt takes sgd or adam, got 'rms'; see"),
        ("-e many", "-e takes a whole number, got 'many'; see"),
        ("-e 1.5", "-e takes a whole number, got '1.5'; see"),
        ("-e null", "-e takes a whole number, got 'null'; see"),
        ("-e true", "-e takes a whole number, got 'true'; see"),
        ("-lr fast", "-lr takes a number, got 'fast'; see"),
        ("--devices two", "--devices takes a whole number or auto, got 'two'; see"),
        ("--measures mean_cca r_sq", "got 'mean_cca', 'r_sq'; did you mean r_squared? See"),
        ("--lr", "--lr needs a value: a number; see"),
        ("--lr -e 3", "--lr needs a value: a number; see"),
        ("--measures", "--measures needs a value: one or more of linear_cka"),
        ("--resume=1", "--resume takes no value, got '1'; see"),
        ("c", "unexpected 'c': only SENDER RECEIVER come without an option; see"),
        ("--config nowhere.yaml", "--config nowhere.yaml cannot be read: No such file"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_code_2(capsys, line, expected):
    said = mistake(capsys, "join", "a", "b", *line.split())
    assert said.startswith("frankenstein join: ")
    assert expected in said
    assert said.endswith("ee frankenstein join --help")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch: 3", "unknown key epoch in FILE; did you mean epochs? See"),
        ("weight-decay: 3", "unknown key weight-decay in FILE; did you mean weight_decay? See"),
        ("3: 3", "unknown key 3 in FILE; see"),
        ("config: x.yaml", "unknown key config in FILE; see"),
        ("epochs: many", "epochs in FILE takes a whole number, got 'many'; see"),
        ("epochs: 1.5", "epochs in FILE takes a whole number, got 1.5; see"),
        ("epochs: true", "epochs in FILE takes a whole number, got True; see"),
        ("epochs:", "epochs in FILE takes a whole number, got null; see"),
        ("sender: 3", "sender in FILE takes text, got 3; see"),
        ("resume: 'yes'", "resume in FILE takes true or false, got 'yes'; see"),
        ("model: lenett", "or torchvision/<name>, got 'lenett'; did you mean lenet?"),
        ("measures: mean_cca", "measures in FILE takes a list of one or more of linear_cka"),
        ("[1, 2]", "--config FILE must be lines of `name: value`, got a list; see"),
        ("just words", "--config FILE must be lines of `name: value`, got a str; see"),
        ("a: [1\nb: 2", "--config FILE is not YAML at line 2: "),
        ("a: !!python/name:os.system", "--config FILE is not YAML at line 1: "),
        (b"\xff\xfe\xff", "--config FILE is not YAML: it is not text; see"),
        ("a: \x00", "--config FILE is not YAML: "),
        ("epochs: 1\nepochs: 2", "FILE is not YAML at line 1: epochs is there 2 times"),
    ],
)
def test_a_mistake_in_yaml_is_one_line_and_code_2(capsys, config, text, expected):
    path = config(text)
    said = mistake(capsys, "join", "a", "b", "--config", path)
    assert expected in said.replace(path, "FILE")


def test_missing_positionals_are_named_with_what_they_mean(capsys):
    assert mistake(capsys, "join", "a") == (
        "frankenstein join: missing RECEIVER (file of the network whose end is used); "
        "see frankenstein join --help"
    )


def test_an_unknown_verb_is_one_line(capsys):
    assert mistake(capsys, "jion") == (
        "frankenstein: unknown verb 'jion'; known: join, fail, layers; did you mean join? "
        "See frankenstein --help"
    )


def test_a_script_is_its_verb_and_points_to_its_own_help(capsys):
    assert main(["a", "b"], verb="join") == 0
    ran.clear()
    assert mistake(capsys, "--x", verb="join").endswith("see python join.py --help")


def test_an_error_of_the_user_in_a_run_is_one_line(capsys):
    assert mistake(capsys, "fail", "user") == "frankenstein fail: wanted a b"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError):
        main(["fail", "bug"])


def test_an_interrupted_run_is_one_line_and_code_130(capsys):
    assert main(["fail", "stop"]) == 130
    assert capsys.readouterr().err == "frankenstein fail: interrupted\n"


@pytest.mark.parametrize("words", [["join", "--help"], ["join", "a", "--oops", "-h"]])
def test_help_is_complete_and_fits_80_columns(capsys, words):
    assert main(words) == 0
    page = capsys.readouterr().out
    assert page.startswith(
        "usage: frankenstein join SENDER RECEIVER [options]\n\nJoin two networks"
    )
    said = spoken("join")
    for one in said.options.values():
        assert one.about.split()[0] in page
        flags = ["--no-bars"] if one.name == "bars" else said.flags(one.name)
        assert all(re.search(rf"(?m)^  .*{flag}\b", page) for flag in flags)
    flat = " ".join(page.split())
    assert "network of the zoo {tiny10, nbn_tiny10, resnet20_w<k>, lenet," in flat
    assert "-opt, --optimizer sgd|adam how to descend (default: sgd)" in flat
    assert "learning rate, which is cut by ten at one third and at two thirds" in flat
    assert "\n\ntrainer:\n  --devices N|auto" in page
    assert "--config FILE" in page
    assert "  frankenstein join a b   # two   spaces\n    frankenstein join a b -lr 0.01\n" in page
    assert max(map(len, page.splitlines())) < 80


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_overview_lists_the_verbs_with_what_they_do(capsys, words):
    assert main(words) == 0
    page = capsys.readouterr().out
    assert re.search(r"(?m)^  join +Join two networks\.$", page)
    assert re.search(r"(?m)^  fail +Fail in a given way\.$", page)


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"frankenstein {__version__}\n"


def test_a_contradiction_names_fields_as_they_are_typed(capsys):
    assert mistake(capsys, "join", "a", "b", "--rank", "3") == (
        "frankenstein join: --rank needs --note of the SENDER; leave --no-bars alone; "
        "see frankenstein join --help"
    )
    with pytest.raises(PlanError, match=r"^rank needs note of the sender; leave bars alone$"):
        JoinPlan(sender="a", receiver="b", rank=3)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"epochs": "3"}, "^epochs takes a whole number, got '3'$"),
        ({"epochs": True}, "^epochs takes a whole number, got True$"),
        ({"model": "lenett"}, "^model takes tiny10.*; did you mean lenet"),
        ({"measures": "mean_cca"}, "^measures takes a list of one or more of linear_cka"),
        ({"note": ["x"]}, r"^note takes text, got \['x'\]$"),
        ({"epochs": 10**4000}, r"of 64 bits, got 10{59}\.\.\. \(4,001 characters\)$"),
        ({"epochs": 2**63}, "^epochs must be a number of 64 bits, got 9223372036854775808$"),
        ({"rank": 0, "note": ""}, "^rank must be at least 1, got 0$"),
    ],
)
def test_a_plan_in_python_refuses_what_a_field_is_not(fields, expected):
    with pytest.raises(PlanError, match=expected):
        JoinPlan(sender="a", receiver="b", **fields)


def test_a_plan_takes_numbers_of_numpy():
    plan = JoinPlan(sender="a", receiver="b", epochs=np.int64(3), lr=np.float32(0.5))
    assert (type(plan.epochs), type(plan.lr), plan.lr) == (int, float, 0.5)


def test_layers_prints_the_cut_points_of_a_network_in_order_with_their_shapes(capsys):
    assert main(["layers", "tiny10", "-c", "3", "--num-classes", "7"]) == 0
    page = capsys.readouterr().out
    assert re.search(r"bn3 .* 32 .* 13 x 13 ", page)
    assert re.search(r"fc .* 7 ", page)
    assert page.index("conv1") < page.index("bn3") < page.index("fc")


def test_layers_prints_what_stitches_see_of_tokens(capsys):
    words = ("torchvision/vit_b_16", "--size", "32")
    assert main(["layers", *words]) == 0
    page = capsys.readouterr().out
    assert re.search(r"reshape .* 768 .* 2 x 2 tokens ", page)  # (768, 4), turned where it is cut
    assert re.search(r"permute .* 768 .* 2 x 2 tokens ", page)
    assert re.search(r"cat .* 768 .* 2 x 2 \+ 1 tokens ", page)
    assert main(["layers", "gpt_tiny"]) == 0
    page = capsys.readouterr().out
    assert re.search(r"token .* 64 .* 8 tokens ", page)
    assert re.search(r"blocks.3.add_1 .* 8 tokens │ blocks.3 ", page)  # as compare calls it
    assert "height" not in page


def test_layers_takes_the_data_set_that_it_tells_to_choose(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n\n\ndef one():\n    return nn.Flatten()\n"
    )
    said = mistake(capsys, "layers", "nets.py:one")
    assert "does not say what it takes; choose --dataset, as in `frankenstein layers nets" in said
    assert main(["layers", "nets.py:one", "-d", "digits"]) == 0
    assert re.search(r"flatten .* 64 ", capsys.readouterr().out)


def test_layers_of_an_unknown_network_names_the_known_ones(capsys):
    said = mistake(capsys, "layers", "tiny1")
    assert said.startswith(
        "frankenstein layers: unknown network 'tiny1'; known: tiny10, nbn_tiny10"
    )
    assert said.endswith("torchvision/<name>; did you mean tiny10?")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "File name too long ('xxx"),
        (OSError(errno.EACCES, "Permission denied", "a"), "Permission denied ('a')"),
        (MemoryError(), "there is not enough memory; take a smaller network, fewer images"),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            ),
            "there is not enough memory, for 9 bytes were asked for at once; take a smaller",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), ", for 2.00 GiB were"),
    ],
)
def test_what_the_machine_does_not_allow_is_one_line(capsys, error, expected):
    with one_line("it", "it") as outcome:
        raise error
    assert outcome.code == 2
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "Bad file"), RuntimeError("a bug")])
def test_what_may_be_a_bug_is_no_line(error):
    with pytest.raises(type(error)), one_line("it", "it"):
        raise error
