import subprocess
import sys
from dataclasses import fields

import pytest

from frankenstein import questions
from frankenstein.errors import PlanError
from frankenstein.questions import AnalyzePlan, Question
from frankenstein.questions.table import QUESTIONS
from frankenstein.runs.schema import options_of

PAIR = {"sender": "a.safetensors", "receiver": "b.safetensors"}


def test_every_row_is_a_question_and_makes_the_switch_and_the_options_of_the_plan():
    options = options_of(AnalyzePlan)
    switches = [name for name, one in options.items() if one.group == "questions"]
    assert switches == [*QUESTIONS, "all"]
    for name, row in QUESTIONS.items():
        assert issubclass(row.target, Question)
        assert options[name].about == row.about
        assert row.target.title
        assert row.target.needs <= {"layers", "inputs", "labels", "untrained", "training"}
        own = options_of(row.target)
        assert own == options_of(row.options)
        assert {name: options[name].default for name in own} == {
            name: one.default for name, one in own.items()
        }


def test_a_plan_asks_its_questions_with_their_options():
    plan = AnalyzePlan(**PAIR, units=True, circuits=True, threshold=0.5)
    questions = plan.questions()
    assert list(questions) == ["units", "circuits"]
    assert questions["circuits"].threshold == 0.5
    assert not fields(questions["units"])
    assert list(AnalyzePlan(**PAIR, all=True).questions()) == list(QUESTIONS)


def test_layers_of_the_receiver_are_those_of_the_sender_unless_they_are_named():
    assert AnalyzePlan(**PAIR, units=True, sender_layer="relu*").receiver_layer == "relu*"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "nothing is asked; choose among units, weights, "),
        ({"units": True, "examples": 1}, "examples must be at least 2, got 1"),
        ({"units": True, "threshold": 0.9}, "threshold belongs to circuits; say that, too"),
        ({"circuits": True, "threshold": -1.5}, "threshold is a similarity, from -1 to 1, got -1."),
        ({"autoencoder": True, "k": 0}, "k must be at least 1, got 0"),
        ({"units": 1}, "units takes true or false, got 1"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(changed, expected):
    with pytest.raises(PlanError, match=expected):
        AnalyzePlan(**PAIR, **changed)


def test_a_question_refuses_the_options_that_a_plan_refuses():
    from frankenstein.questions import Circuits

    with pytest.raises(PlanError, match="threshold is a similarity, from -1 to 1, got 2"):
        Circuits(threshold=2)


def test_a_plan_is_light_and_questions_that_train_nothing_import_no_lightning():
    asked = {name: True for name in QUESTIONS if name not in ("autoencoder", "crosscoder")}
    code = (
        "import sys\n"
        "from frankenstein.questions import AnalyzePlan\n"
        f"plan = AnalyzePlan(sender='a', receiver='b', **{asked})\n"
        "assert 'torch' not in sys.modules\n"
        "import frankenstein.questions.run\n"
        "plan.questions()\n"
        "print(*[m for m in ('pytorch_lightning', 'torchmetrics') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.stderr) == ("", "")


def test_every_name_of_the_room_is_there():
    for name in questions.__all__:
        assert getattr(questions, name).__name__ == name
