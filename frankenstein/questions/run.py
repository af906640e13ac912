"""One run of `analyze`, from two files to a folder with the answers to all questions asked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from frankenstein.errors import counted
from frankenstein.networks.accuracy import accuracy_line, network_accuracy
from frankenstein.networks.data import check_data, check_labels
from frankenstein.networks.network import networks_name
from frankenstein.questions.plan import AnalyzePlan
from frankenstein.questions.question import AnyQuestion, NotAskable
from frankenstein.questions.saved import run_saved, saved_activations
from frankenstein.questions.subject import Subject, open_subject
from frankenstein.report import Fold, Picture, Section, ShortView, code
from frankenstein.report.document import Block
from frankenstein.runs.page import log_page, write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.training.device import device_of

_SAID = 3  # questions whose sentence is in the finding


def run_analyze(plan: AnalyzePlan, command: Command) -> Run:
    """Run the plan of `analyze`."""
    if (files := saved_activations(plan)) is not None:
        return run_saved(plan, command, files)
    questions = plan.questions()
    needs = frozenset().union(*(question.needs for question in questions.values()))
    subject = open_subject(
        plan.sender,
        plan.receiver,
        plan.sender_layer,
        plan.receiver_layer,
        more=plan.more,
        data_root=plan.data_root,
        batch_size=plan.batch_size,
        model=plan.model,
        **plan.told,
        of_layers="layers" in needs,
        device=device_of(plan.accelerator),
        seed=plan.seed,
        examples=plan.examples,
        untrained=plan.untrained,
        quiet=plan.quiet,
    )
    dataset = plan.dataset or subject.receiver.dataset
    if dataset and "labels" in needs:
        check_labels(dataset, plan.data_root, subject.networks)
    refused = _refused(plan, subject, needs)
    if refused:
        needs = frozenset().union(*(one.needs for one in questions.values() if not _looks(one)))
    pairs = subject.pairs if "layers" in needs else ()
    if "training" in needs:
        check_data(subject.data, plan.quiet)
    name = plan.run_name or networks_name(subject.networks[:2], dataset, "-vs-")
    with Run.write(plan, name, subject.networks, command) as run:
        subject.expect(one for one in questions.values() if not (refused and _looks(one)))
        sections = {
            asked: Section(question.title, (f"Not asked: {refused}.",))
            if refused and _looks(question)
            else _section(run, plan, asked, question, subject)
            for asked, question in questions.items()
        }
        answered = dict(run.numbers)
        if "inputs" in needs:
            examples = subject.batches("val").examples
            run.record |= {"dataset": dataset, "examples": examples}
            run.tell_sight(subject.networks, subject.data, dataset)
            accuracies = network_accuracy(
                subject.networks, subject.data, subject.device, plan.quiet, examples
            )
            run.numbers |= accuracies
            run.shown.append(accuracy_line(accuracies, examples, dataset, run.networks))
        asked = [name for name, one in questions.items() if not (refused and _looks(one))]
        run.record |= {"device": str(subject.device), "questions": asked}
        run.record["networks"] = {one.role: one.sha256 for one in subject.networks}
        run.record["layers"] = [list(pair) for pair in pairs]
        run.finding = _finding([*sections.values()])
        _write(run, f"Analysis: {name}", _about(pairs), sections, answered)
    run.shown.append(ShortView([(one.title, one.short) for one in sections.values() if one.short]))
    alone = [asked for asked, one in questions.items() if not one.of_more]
    if alone and len(subject.networks) > 2:
        run.shown.append(f"of the sender and the receiver alone: {', '.join(alone)}")
    run.shown.append(
        f"all {len(run.numbers)} numbers, of every layer, are in summary.json; the report shows "
        "what they say"
    )
    return run


def _finding(sections: Sequence[Section]) -> str:
    """What the first questions found, a sentence each."""
    said = [one.short.finding for one in sections if one.short and one.short.finding]
    return " ".join(said[:_SAID])


def _refused(plan: AnalyzePlan, subject: Subject, needs: frozenset[str]) -> str:
    """Why no question can be asked of the data, where others are asked, too; "" if they can.

    Raises:
        NotAskable: if the user has named one of them.
    """
    try:
        if "inputs" in needs:
            _ = subject.data
    except NotAskable as error:
        if not plan.all:
            raise
        return str(error)
    return ""


def _looks(question: AnyQuestion) -> bool:
    return "inputs" in question.needs


def _section(
    run: Run, plan: AnalyzePlan, name: str, question: AnyQuestion, subject: Subject
) -> Section:
    """Ask and word one question, and keep its numbers and files under its name."""
    try:
        if "labels" in question.needs and not subject.data.labelled:
            raise NotAskable(f"‹{name}› looks at labels, and {subject.data.name} gives none")
        answer = question.ask(subject)
    except NotAskable as error:
        if not plan.all:
            raise
        return Section(question.title, (f"Not asked: {error}.",))
    section = question.show(answer)
    run.numbers |= {f"{name}/{key}": value for key, value in answer.numbers.items()}
    for file, save in section.saves.items():
        save(run.folder / file)
    # Two questions may draw a picture of one name.
    blocks = (
        replace(block, name=f"{name}-{block.name}") if isinstance(block, Picture) else block
        for block in section.blocks
    )
    return replace(section, blocks=(*_of_more(question, subject), *blocks))


def _of_more(question: AnyQuestion, subject: Subject) -> list[str]:
    """Which of more than two networks a question is about."""
    more = len(subject.networks) - 2
    if more < 1:
        return []
    two = "Of the sender and the receiver alone, not of the "
    return [question.of_more or f"{two}{counted(more, 'further network')}."]


def _write(
    run: Run,
    title: str,
    about: str,
    sections: Mapping[str, Section],
    answered: Mapping[str, float],  # numbers of the questions
) -> None:
    """The page, and its figures and numbers in TensorBoard."""
    blocks: list[Block] = [about]
    for section in sections.values():
        blocks += [f"## {section.title}", *_figures_first(section.blocks)]
    write_page(run, title, [*blocks, "Every number is in `summary.json`."])
    pictures = {
        f"{asked}/{block.name}": block
        for asked, section in sections.items()
        for block in section.blocks
        if isinstance(block, Picture)
    }
    log_page(run, pictures, answered)


def _figures_first(blocks: Sequence[str | Picture]) -> Sequence[Block]:
    """The same with the words before the first figure folded."""
    words = [*takewhile(lambda one: isinstance(one, str) and one[0] not in "|#*", blocks)]
    if len(words) == len(blocks) or not isinstance(blocks[len(words)], Picture) or not words:
        return blocks
    return [Fold("How to read this", "\n\n".join(map(str, words))), *blocks[len(words) :]]


def _about(pairs: tuple[tuple[str, str], ...]) -> str:
    """What is asked of what."""
    layers = ", ".join(
        code(one) if one == other else f"{code(one)} with {code(other)}" for one, other in pairs
    )
    return f"Questions about two networks{f', layer by layer: {layers}' if layers else ''}."
