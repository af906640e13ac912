"""Plans as YAML: keys are the plan's fields."""

from pathlib import Path
from typing import Any, TypeVar

import yaml

from frankenstein.catalog import VERBS
from frankenstein.errors import PlanError, UserError, did_you_mean
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import options_of
from frankenstein.runs.values import read_words

P = TypeVar("P", bound=Plan)


def dump(plan: Plan) -> str:
    """The complete YAML of a plan, which replays it: every field; a resumed run is the same run."""
    return yaml.dump({**plan.values(), **_not_resumed(plan)}, Dumper=_Dumper, sort_keys=False)


def read_plan(kind: type[P], path: str | Path, **changed: Any) -> P:
    """The plan of a kind in a YAML file, with some of its fields changed.

    Raises:
        PlanError: as `read_values`, or if it makes no plan.
    """
    return kind(**{**read_values(kind, path), **changed})


def plan_of(verb: str, values: dict[str, Any]) -> Plan:
    """The plan of a verb from plain values, as a run's record holds them.

    Raises:
        UserError: if there is no such verb, or this version knows no such plan.
    """
    if verb not in VERBS:
        raise UserError(f"unknown verb {verb!r}; known: {', '.join(VERBS)}")
    kind = VERBS[verb].target
    if unknown := [name for name in values if name not in options_of(kind)]:
        raise UserError(f"another version of frankenstein wrote it: {verb} has no {unknown[0]}")
    return kind(**values)


def read_values(kind: type[Plan], path: str | Path) -> dict[str, Any]:
    """The values in a YAML file, converted and checked; those it leaves out are left out.

    Raises:
        PlanError: if there is no such file, or it says something that the plan does not know.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise PlanError(f"‹config› {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PlanError(f"‹config› {path} is not YAML: it is not text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise PlanError(
            f"‹config› {path} is not YAML{where}: {getattr(error, 'problem', error)}"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PlanError(
            f"‹config› {path} must be lines of `name: value`, got a {type(content).__name__}"
        )
    return {key: _value(kind, key, value, path) for key, value in content.items()}


class _Dumper(yaml.SafeDumper):
    """PyYAML would write a value that stands twice as a reference to the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    """PyYAML takes the last of several keys of one name, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                problem = f"{key.value} is there {names.count(key.value)} times"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def _value(kind: type[Plan], key: Any, value: Any, path: str | Path) -> Any:
    options = options_of(kind)
    if key not in options:
        raise PlanError(f"unknown key {key} in {path}{did_you_mean(str(key), options)}")
    return read_words(options[key], value, f"{key} in {path}")


def _not_resumed(plan: Plan) -> dict[str, bool]:
    return {"resume": False} if "resume" in options_of(type(plan)) else {}
