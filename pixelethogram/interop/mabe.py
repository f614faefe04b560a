"""Predictions as the MABe 2021 challenge takes them, and their score against the truth.

A submission is a pickled dict in a .npy file: id -> one whole number per frame, an index of the
vocabulary. In task 3 there is such a dict per behavior. The sample says which ids, which lengths.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelethogram.atomic import write_bytes
from pixelethogram.errors import InputError, UsageError
from pixelethogram.interop.calms21 import sequences_of, to_labels, vocabularies_of
from pixelethogram.pose.readers.calms21 import OTHER, Sequence21
from pixelethogram.progress import format_count
from pixelethogram.project import Project
from pixelethogram.project_evaluation import read_probabilities
from pixelethogram.protocols import ProtocolScores, score_calms21
from pixelethogram.runs import latest_run
from pixelethogram.safe_npy import load_pickled_npy, read_pickled_npy
from pixelethogram.threshold_table import load_decision

Answers = dict[tuple[str, str], np.ndarray]
"""Group ("" where there are none) and id -> (T,) whole numbers."""
SHOWN = 5


def export_submission(project: Project, sample: Path, out: Path) -> int:
    """Write the predictions of the newest sequence run for every sequence of a sample.

    Nothing is written unless ids, lengths and numbers are those that the sample asks for.

    Returns:
        Number of sequences.
    """
    wanted = read_submission(sample)
    vocabularies = vocabularies_of(project)
    answers = predict_answers(project, wanted, vocabularies, sample)
    data = to_bytes(answers)
    check_submission(_parse(load_pickled_npy(data, out), out), wanted, vocabularies, out)
    write_bytes(out, data)
    return len(answers)


def predict_answers(
    project: Project,
    wanted: Answers,
    vocabularies: Mapping[str, tuple[str, ...]],
    where: Path,
) -> Answers:
    """Numbers of every frame of every sequence that is wanted."""
    run = latest_run(project.runs, "sequence")
    decision = load_decision(run)
    videos = sequences_of(project)
    if missing := sorted({key for _, key in wanted if key not in videos}):
        raise InputError(
            f"the project lacks {format_count(len(missing), 'sequence')} of the sample: "
            f"{_list(missing)}",
            where=where,
            do=f'import the test file: pixelethogram import "{project.folder}" test.npy '
            "--from calms21",
        )
    answers: Answers = {}
    for group, key in wanted:
        if group not in vocabularies:
            raise InputError(
                f'no imported file says what the numbers of "{group or "the sample"}" mean',
                where=where,
                do="import the file with the annotations, too",
            )
        present = decision.apply(read_probabilities(videos[key], run))
        answers[group, key] = to_numbers(present, run.behaviors, vocabularies[group])
    return answers


def to_numbers(
    present: np.ndarray, behaviors: Sequence[str], vocabulary: Sequence[str]
) -> np.ndarray:
    """Index of the vocabulary for every frame of (T, K) bool; `other` where nothing is present."""
    columns = [list(behaviors).index(name) for name in vocabulary if name in behaviors]
    numbers = np.array([vocabulary.index(behaviors[column]) for column in columns])
    chosen = present[:, columns]
    if (chosen.sum(axis=1) > 1).any():
        raise UsageError(
            "several behaviors are present at once, but a submission has one number per frame",
            do="make the project exclusive: `exclusive: true` in project.yaml; then train again",
        )
    if OTHER not in vocabulary:
        raise InputError(
            f'the vocabulary has no "{OTHER}": {", ".join(vocabulary)}',
            do="import a file of the challenge",
        )
    index = vocabulary.index(OTHER)
    return np.where(chosen.any(axis=1), numbers[chosen.argmax(axis=1)], index).astype(np.int64)


def read_submission(path: Path) -> Answers:
    """A submission, or the sample of one.

    Raises:
        InputError: It is not one; says where.
    """
    return _parse(read_pickled_npy(path), path)


def check_submission(
    answers: Answers, wanted: Answers, vocabularies: Mapping[str, tuple[str, ...]], where: Path
) -> None:
    """Compare ids, lengths and the range of numbers with a sample.

    Raises:
        InputError: Says everything that differs.
    """
    wrong = []
    if missing := sorted(set(wanted) - set(answers)):
        wrong.append(f"missing: {_list([_name(key) for key in missing])}")
    if unknown := sorted(set(answers) - set(wanted)):
        wrong.append(f"not asked for: {_list([_name(key) for key in unknown])}")
    for key in sorted(set(wanted) & set(answers)):
        found, expected = answers[key], wanted[key]
        if len(found) != len(expected):
            wrong.append(
                f"{_name(key)} has {format_count(len(found), 'frame')} instead of {len(expected)}"
            )
        largest = len(vocabularies[key[0]]) - 1
        if len(found) and (found.min() < 0 or found.max() > largest):
            wrong.append(
                f"{_name(key)} has numbers from {found.min()} to {found.max()} "
                f"instead of 0 to {largest}"
            )
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise InputError(
            "the submission is not what the sample asks for: " + "; ".join(wrong[:SHOWN]) + more,
            where=where,
            why="the sample is of another task, or the test file has changed since the import",
            do="give the sample of the test file that was imported",
        )


def to_bytes(answers: Answers) -> bytes:
    """The file of a submission, with lists of whole numbers."""
    plain: dict[str, Any] = {}
    for (group, key), values in answers.items():
        (plain.setdefault(group, {}) if group else plain)[key] = values.tolist()
    buffer = io.BytesIO()
    np.save(buffer, np.array(plain, dtype=object), allow_pickle=True)
    return buffer.getvalue()


def score_submission(answers: Answers, truth: Sequence[Sequence21], where: Path) -> ProtocolScores:
    """Score of a submission as the challenge counts it, all frames of all sequences pooled.

    Raises:
        InputError: The truth has no annotations, or sequences differ.
    """
    annotated = {(each.group, each.id): each for each in truth if each.annotations is not None}
    if not annotated:
        raise InputError("the truth has no annotations", where=where, do="give another file")
    check_submission(
        answers,
        {key: np.asarray(each.annotations) for key, each in annotated.items()},
        {group: each.vocabulary for (group, _), each in annotated.items()},
        where,
    )
    names = dict.fromkeys(name for each in annotated.values() for name in each.vocabulary)
    behaviors = [name for name in names if name != OTHER]
    labels = [to_labels(each, behaviors) for each in annotated.values()]
    present = [
        _to_present(answers[key], each.vocabulary, behaviors) for key, each in annotated.items()
    ]
    return score_calms21(np.concatenate(labels), np.concatenate(present), behaviors)


def _to_present(
    numbers: np.ndarray, vocabulary: Sequence[str], behaviors: Sequence[str]
) -> np.ndarray:
    places = [vocabulary.index(name) if name in vocabulary else -1 for name in behaviors]
    return numbers[:, None] == np.array(places)


def _parse(content: Any, where: Path) -> Answers:
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"the file holds a {type(content).__name__}, not sequences by their ids",
            where=where,
            do="give a submission, or the sample of one",
        )
    answers: Answers = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            for inner, numbers in value.items():
                answers[str(key), str(inner)] = _parse_numbers(numbers, f"{key}, {inner}", where)
        else:
            answers["", str(key)] = _parse_numbers(value, str(key), where)
    return answers


def _parse_numbers(value: Any, name: str, where: Path) -> np.ndarray:
    try:
        numbers = np.asarray(value)
    except ValueError:
        numbers = np.zeros((0, 0))
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise InputError(
            f"{name} is not one whole number per frame",
            where=where,
            do="give a submission, or the sample of one",
        )
    return numbers.astype(np.int64)


def _name(key: tuple[str, str]) -> str:
    return ", ".join(part for part in key if part)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
