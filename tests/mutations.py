"""Do the tests bite? Each guard is taken out of a copy of the package, and its test must fail.

    python tests/mutations.py              # prints the table of docs/reliability.md
    python tests/mutations.py "signal|disk"  # those alone whose names this expression finds

Not collected by pytest: it runs pytest once for every guard.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Guard(NamedTuple):
    """A line that protects something, what is left when it is gone, and the test that must fail."""

    name: str
    file: str  # in frankenstein/
    line: str
    without: str
    test: str  # in tests/
    chosen: str = ""  # the tests of the file that hold these words


GUARDS = [
    Guard("written files are synced", "files.py", "os.fsync(file.fileno())", "pass",
          "test_files.py", "fails_leaves"),
    Guard("a write that fails leaves nothing", "files.py",
          "            Path(temporary).unlink(missing_ok=True)\n", "",
          "test_files.py", "fails_leaves"),
    Guard("a full disk names the path", "files.py", "raise cannot_write(path, error) from error",
          "raise", "test_files.py", "fails_leaves"),
    Guard("safetensors keep a checksum", "files.py", "if _checksum(tensors, facts) != expected:",
          "if False:", "test_damaged_files.py", "network or stitch"),
    Guard("checkpoints keep a checksum", "files.py", "if seal != _seal(content):", "if False:",
          "test_damaged_files.py", "checkpoint or cell"),
    Guard("zip archives are checked", "zoo/weights.py", "damaged := archive.testzip()",
          "damaged := None", "test_damaged_files.py", "state_dict"),
    Guard("a record fits its tensors", "files.py",
          "except Exception as error:  # a record may say anything to a constructor",
          "except ZeroDivisionError as error:", "test_damaged_files.py", "record"),
    Guard("state dicts execute nothing", "zoo/weights.py", "weights_only=True",
          "weights_only=False", "test_hostile_files.py", "no_place"),
    Guard("checkpoints execute nothing", "callbacks/checkpoints.py",
          "map_location, weights_only=True)", "map_location, weights_only=False)",
          "test_hostile_files.py", "no_place"),
    Guard("YAML names no code", "records.py", "_Plain().value(node, _DEEPEST)",
          "yaml.unsafe_load(content)", "test_hostile_files.py", "config"),
    Guard("aliases do not multiply", "records.py", "if self.count > _MOST:", "if False:",
          "test_records.py", "multiplies"),
    Guard("1:30 is no 90", "records.py", "else _word(node.value)",
          "else yaml.safe_load(node.value)", "test_records.py", "word_of_yaml"),
    Guard("records are not nested deeply", "records.py", " or _too_deep(record, _DEEPEST)", "",
          "test_records.py", "no_json"),
    Guard("pipes are not waited for", "records.py", " or not (streams or stat.S_ISREG(mode))", "",
          "test_records.py", "not_waited"),
    Guard("sizes are compared before anything is built", "files.py",
          "        empty.load_state_dict(tensors)\n", "        pass\n",
          "test_records.py", "w100000"),
    Guard("types of a card are told", "zoo/files.py", "check_fields(record, get_type_hints(Card)",
          "min(record, Card", "test_records.py", "checked_before"),
    Guard("a pickle does not expand", "zoo/weights.py", "check_pickled(path)", "pass",
          "test_records.py", "expands"),
    Guard("what a record is read for again is checked", "runs/run.py",
          "    check_fields(record, _MAY_HOLD, str(folder / RECORD))\n", "",
          "runs/test_run.py", "refused_by_what"),
    Guard("a score is a finite number", "runs/run.py",
          "if not (value is None or _is_number(value)):", "if False:",
          "runs/test_run.py", "refused_by_what"),
    Guard("a name has one line", "runs/schema.py", "and no_text.search(text)", "and False",
          "test_records.py", "told_by_its_field"),
    Guard("sparse tensors are refused", "zoo/weights.py",
          "if odd := [key for key in own if not _is_dense(tensors[key])]:", "if odd := []:",
          "networks/test_sources.py", "do_not_fit"),
    Guard("a number is no matrix of gigabytes", "pickles.py", "tensor.is_meta or ", "False and ",
          "test_records.py", "expands"),
    Guard("what looks like an archive is opened", "pickles.py", "except zipfile.BadZipFile:",
          "except ZeroDivisionError:", "test_damaged_files.py", "several_disks"),
    Guard("numbers of an image processor are checked", "data/preprocessing.py",
          "except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:",
          "except ZeroDivisionError as error:", "networks/test_sources.py", "edited_is_one_line"),
    Guard("a damaged tokenizer is told", "networks/sources/huggingface.py",
          "if _has_tokenizer(transformers, source, where):", "if False:",
          "networks/test_sources.py", "damaged_tokenizer"),
    Guard("a control is looked for before training", "stitching/run.py",
          "    sender.random(CONTROL_SEED)  #", "    #",
          "cli/test_stitch_command.py", "no_control"),
    Guard("no file names code that is run", "runs/plan.py", "if code := names_code(word):",
          "if False:", "test_hostile_files.py", "refused_by_name"),
    Guard("no record of a run has code run", "runs/plan.py", "if self.read_from is not None:",
          "if False:", "test_hostile_files.py", "no_record"),
    Guard("each network sees in its own way", "networks/data.py", "preprocessing=network.eyes",
          "preprocessing=networks[0].eyes", "networks/test_eyes.py", "are_shared"),
    Guard("long sums lose no digit", "accumulators/moments.py",
          "theirs[key] + lost[key] if key in lost else ", "",
          "accumulators/test_moments.py", "thousands"),
    Guard("collections do not mix sums", "metrics/packed.py",
          'f"sums of {what}"', '"sums of it"', "metrics/test_metrics.py", "collection"),
    Guard("a stitch knows its networks", "runs/stitch_run.py",
          "if made_for != network.sha256:", "if False:",
          "cli/test_evaluate_command.py", "have_changed"),
    Guard("old state dicts are told of", "zoo/weights.py",
          "        _tell_of_no_checksum(path, hashlib.sha256(path.read_bytes()).hexdigest())\n", "",
          "test_damaged_files.py", "old_state"),
    Guard("image files are read before training", "data/images.py",
          "for text in part.unreadable(show)", "for text in ()",
          "data/test_folder.py", "before_training"),
    Guard("a changed image file is read again", "data/files.py",
          '{facts.st_size} {facts.st_mtime_ns} "', '"', "data/test_files.py", "until_it_changes"),
    Guard("sixteen bits are scaled", "data/files.py", 'mode.startswith("I;16") or', "False and",
          "data/test_files.py", "sixteen"),
    Guard("numbers without a white are refused", "data/files.py", 'elif mode in ("I", "F"):',
          "elif False:", "data/test_files.py", "no_white"),
    Guard("photographs stand upright", "data/files.py", "image if turn is None else", "image or",
          "data/test_files.py", "upright"),
    Guard("a line of pixels takes no gigabytes", "data/files.py", "if long > _THIN * short:",
          "if False:", "data/test_files.py", "line_of_pixels"),
    Guard("a pipe among images is not waited for", "data/files.py",
          "if not stat.S_ISREG(os.stat(path).st_mode):", "if not os.path.exists(path):",
          "data/test_files.py", "pipe"),
    Guard("links lead to each image once", "data/folder.py", "if real[name] not in seen]",
          "if True]", "data/test_folder.py", "circles"),
    Guard("a link to an image that is gone is told", "data/folder.py", " and _is_image(target)", "",
          "data/test_folder.py", "not_there"),
    Guard("unpacked idx files are compared", "data/idx.py", ".hexdigest() != published:",
          ".hexdigest() is None:", "data/test_idx.py", "published_file"),
    Guard("CelebA's parts are compared", "data/celeba.py", "if len(parts) == sum(self.published",
          "if -len(parts) == sum(self.published", "data/test_celeba.py", "published"),
    Guard("labels are in range", "data/images.py", "if low < 0 or high >= num_classes:",
          "if False:", "data/test_image_data.py", "do_not_fit"),
    Guard("no class is missing", "data/images.py", "self._check_every_class_is_there()", "pass",
          "data/test_image_data.py", "told_before"),
    Guard("labels are of the network's kind", "networks/data.py",
          "if there not in (None, here):", "if False:", "cli/test_label_kinds.py", "another_kind"),
    Guard("classes are as many as answers", "networks/data.py",
          "if network.card.num_classes != num_classes:", "if False:",
          "cli/test_label_kinds.py", "other_classes"),
    Guard("stitched networks answer alike", "networks/data.py",
          "if None not in kinds and kinds[0] != kinds[1]:", "if False:",
          "cli/test_label_kinds.py", "two_kinds"),
    Guard("idx files are whole", "data/idx.py", "len(content) != start + math.prod(shape)", "False",
          "data/test_idx.py", ""),
    Guard("attributes are yes or no", "data/celeba.py", "_SIGNS.issuperset(values)", "True",
          "data/test_celeba.py", "belong"),
    Guard("a damaged archive is named", "data/idx.py", "(OSError, EOFError, zlib.error)",
          "ZeroDivisionError", "data/test_idx.py", "taken_for_whole"),
    Guard("frozen networks stay in eval", "tasks/stitching.py", "super().train(False)",
          "super().train(mode)", "tasks/test_frozen.py", "hash_equal"),
    Guard("processes add their sums", "accumulators/moments.py",
          "if not (distributed.is_available() and distributed.is_initialized()):", "if True:",
          "tasks/test_processes.py"),
    Guard("processes count examples exactly", "tasks/means.py", "self.examples + examples",
          "self.examples + examples // 2 * 2", "tasks/test_processes.py"),
    Guard("NaN and Inf are refused", "accumulators/moments.py",
          "if not self.first[side].isfinite().all():", "if False:",
          "stitches/test_stitches_hard_cases.py", "not_finite"),
    Guard("a signal saves", "callbacks/checkpoints.py",
          "            self._save(trainer)\n            self._perhaps_stop",
          "            self._perhaps_stop", "cli/test_interruption.py", "signal_ends"),
    Guard("a signal ends the run", "callbacks/checkpoints.py",
          "raise Interrupted(signum or signal.SIGTERM, speaks=trainer.is_global_zero)", "pass",
          "cli/test_interruption.py", "signal_ends"),
    Guard("an unfinished report names what is there", "runs/page.py", "if run.unfinished:",
          "if False:", "cli/test_interruption.py", "signal_ends"),
    Guard("Lightning does not answer signals", "training/trainer.py",
          "trainer._signal_connector.register_signal_handlers = lambda: None", "pass",
          "cli/test_interruption_processes.py", "to_any_process and train"),
    Guard("a signal before the first step ends the run", "callbacks/checkpoints.py",
          "        self._saved = time.monotonic()\n        self._perhaps_stop(trainer)",
          "        self._saved = time.monotonic()",
          "cli/test_interruption_processes.py", "before_the_first_step"),
    Guard("a process is born deaf to signals", "signals.py", '_mask("SIG_BLOCK")', "pass",
          "cli/test_interruption_processes.py", "while_the_second_process_starts"),
    Guard("processes that start end together", "training/processes.py",
          "raise Interrupted(code - 128)", "pass",
          "cli/test_interruption_processes.py", "while_the_second_process_starts"),
    Guard("no process is left behind", "training/processes.py", "process.kill()", "break",
          "cli/test_interruption_processes.py", "while_the_second_process_starts"),
    Guard("one process speaks for all", "callbacks/checkpoints.py", "speaks=trainer.is_global_zero",
          "speaks=True", "cli/test_interruption_processes.py", "to_any_process and train"),
    Guard("processes stop together", "callbacks/checkpoints.py",
          "return trainer.strategy.reduce_boolean_decision(claim, all=False)", "return claim",
          "cli/test_interruption_processes.py", "to_any_process and train"),
    Guard("a process that is killed ends the first in one line", "training/processes.py",
          "        if killed:\n", "        if False:\n",
          "cli/test_interruption_processes.py", "is_killed"),
    Guard("a process whose first one is killed tells it", "training/processes.py",
          "if _soon(lambda: os.getppid() != first):", "if False:",
          "cli/test_interruption_processes.py", "first_one_is_gone"),
    Guard("a reader that goes away ends no run", "printing.py",
          "            self.stream.flush()\n        except (OSError, ValueError) as error:",
          "            self.stream.flush()\n        except ZeroDivisionError as error:",
          "cli/test_printing.py", "goes_away"),
    Guard("no file gets the number of a closed stream", "printing.py",
          "    fill_standard_numbers()\n", "", "cli/test_printing.py", "gets_the_number"),
    Guard("a closed stdout is told", "printing.py", "if before[0] is None:", "if False:",
          "cli/test_printing.py", "closed_from_the_start"),
    Guard("a text that is a pipe is not waited for", "data/text.py",
          "if path.exists() and not path.is_file():", "if path.is_dir():",
          "data/test_text.py", "not_waited"),
    Guard("a label of thousands of digits is a word", "data/text.py",
          " if len(label) <= _DIGITS]", "]", "data/test_text.py", "thousands"),
    Guard("lines of code end no block of code", "report/tables.py",
          "max([3, *(len(run) + 1 for run in re.findall(\"`+\", text))])", "3",
          "report/test_markup.py", "ends_where"),
    Guard("a link to nothing is not written over", "activations/write.py",
          "if os.path.lexists(path):", "if path.exists():",
          "cli/test_extract_command.py", "cannot_be_written"),
    Guard("a terminal that is gone is a signal", "signals.py", ', "SIGHUP")', ")",
          "cli/test_interruption.py", "terminal"),
    Guard("names in tables are no markup", "report/tables.py", "if made else plain(text)",
          "if made else text", "report/test_markup.py", "shown_as_it_is"),
    Guard("titles are no markup", "report/document.py", "html_of(f\"# {plain(title)}\")",
          "html_of(f\"# {title}\")", "report/test_markup.py", "shown_as_it_is"),
    Guard("a class's name is none of TeX", "report/style.py", '    "text.parse_math": False,', "",
          "report/test_markup.py", "shown_as_it_is"),
    Guard("a memory that is too small is one line", "cli/errors.py",
          "if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):", "if False:",
          "cli/test_parser.py", "does_not_allow"),
    Guard("a packed file of zeros is not unpacked", "data/idx.py", "file.read(_LARGEST + 1)",
          "file.read()", "data/test_idx.py", "gigabytes"),
    Guard("a second signal does not wait", "signals.py",
          "if self.signum is not None:\n            raise", "if False:\n            raise",
          "cli/test_interruption.py", "second_signal"),
    Guard("a loader goes on within an epoch", "data/batches.py", '{"next_batch": self._next}',
          '{"next_batch": 0}', "cli/test_interruption.py", "signal_ends"),
    Guard("dropout depends on the step", "callbacks/checkpoints.py", "torch.manual_seed(", "int(",
          "cli/test_interruption.py", "dropout"),
    Guard("one run writes a folder", "runs/folder.py",
          "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass",
          "cli/test_interruption.py", "under_way"),
    Guard("a run resumes with its options", "runs/folder.py",
          "if before.get(key) != now.get(key):", "if False:",
          "cli/test_interruption.py", "own_options"),
    Guard("halves of files are removed", "runs/folder.py",
          "        remove(half)", "        pass",
          "cli/test_interruption.py", "goes_on_and_ends"),
    Guard("the projector starts anew", "runs/folder.py",
          '(path / "projector_config.pbtxt").unlink(missing_ok=True)', "pass",
          "cli/test_interruption.py", "goes_on_and_ends"),
    Guard("the checkpoint goes last", "runs/run.py",
          "            run._finish(parent,",
          "            remove(run.folder / goes_on_from)\n            run._finish(parent,",
          "cli/test_interruption.py", "kept_until"),
    Guard("a failed run leaves nothing", "runs/run.py",
          "shutil.rmtree(path, ignore_errors=True)", "pass", "runs/test_run.py", "fails"),
    Guard("room is looked for", "runs/folder.py", "if free < size + _SPARE:", "if False:",
          "cli/test_disk.py", "too_little"),
    Guard("a full disk is one line", "runs/run.py", "error.errno in _NO_WRITING", "False",
          "cli/test_disk.py", "logger"),
    Guard("a folder that is taken away is told", "runs/run.py",
          "if run.folder == path and (gone := taken_away(path, lock)):", "if False:",
          "cli/test_disk.py", "taken_away"),
    Guard("a run some of whose files are gone is not finished", "runs/run.py",
          "            check_there(path, lock)\n", "", "cli/test_disk.py", "some_of_whose"),
    Guard("a folder is claimed by one", "runs/folder.py",
          "if lock < 0:\n                continue  # another run",
          "if False:\n                continue  # another run",
          "cli/test_disk.py", "one_name"),
    Guard("a finished run is finished whatever its name", "runs/folder.py",
          "if not path.is_dir() or (path / ORIGIN).exists():", "if True:",
          "runs/test_run.py", "finished_whatever"),
    Guard("what has no origin is not swept", "runs/folder.py",
          "if _is_begun(path) and not any", "if path.is_dir() and not any",
          "runs/test_run.py", "no_origin"),
    Guard("what a kill left is swept", "runs/folder.py",
          "                _empty(path)\n                return path, lock",
          "                return path, lock", "studies/test_study.py", "swept_and_found"),
    Guard("a study goes on", "studies/folder.py", 'goes_on="itself"', 'goes_on="no"',
          "studies/test_study.py", "gone_on_with"),
    Guard("runs inside a study know its name", "runs/folder.py", "    _settle(path, mine)\n", "",
          "studies/test_study.py", "killed_anywhere"),
    Guard("steps are checked before torch", "cli/verbs/study.py",
          "    for step in values[", "    import torch\n\n    for step in values[",
          "cli/test_told_at_once.py", "study"),
    Guard("layers are checked before torch",
          "cli/verbs/layers.py", "find_network(self.name)", "import torch",
          "cli/test_told_at_once.py", "layers"),
]  # fmt: skip


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    toothless = 0
    print("| guard taken out | where | its test |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("frankenstein", "tests", "configs", "pyproject.toml"):
            source, target = ROOT / part, Path(folder) / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        for guard in GUARDS:
            if re.search(wanted, guard.name):
                bites = fails_without(guard, Path(folder))
                toothless += not bites
                said = "fails" if bites else "**passes**"
                print(f"| {guard.name} | `{guard.file}` | `{guard.test}` {said} |", flush=True)
    raise SystemExit(toothless)


def fails_without(guard, folder):
    path = folder / "frankenstein" / guard.file
    whole = path.read_text()
    if guard.line not in whole:
        raise SystemExit(f"{guard.file} no longer has the line of {guard.name!r}: {guard.line}")
    path.write_text(whole.replace(guard.line, guard.without))
    command = [sys.executable, "-m", "pytest", "-q", "-x", f"tests/{guard.test}"]
    command += ["-k", guard.chosen] if guard.chosen else []
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=300,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(whole)
    if done.returncode > 1:  # 1 of pytest: a test failed; below 0: a signal ended it
        raise SystemExit(f"{guard.name}: pytest could not run\n{done.stdout}{done.stderr}")
    return done.returncode != 0


if __name__ == "__main__":
    main()
