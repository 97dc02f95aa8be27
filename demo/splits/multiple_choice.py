"""The step, of four, that serves a goal, or the goal that a step serves; from titles in wikiHow."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from demo.bigbench import Bigbench
from demo.split import Example, Sizes, Splits, normalized, seed_of, split

MEMBERS = tuple(
    f"goal_step_wikihow/{task}/task.json" for task in ("goal_inference", "step_inference", "step_ordering")
)
SIZES = Sizes(evaluation=1500, calibration=256, development=300, per_group=1)
CHOICES = 4
STEP_QUESTION = "The most reasonable step of '{}' is"
GOAL_QUESTION = "The most reasonable goal of '{}' is"

_QUOTED = re.compile(r"^The most reasonable (?:goal|step) of '(.*)' is", re.DOTALL)
_ORDERING = re.compile(
    r"^In order to '(.*?)', one can '(.*)' and '(.*)'\. Which should happen first\?", re.DOTALL
)


def build(source: Bigbench) -> Splits:
    """The examples of the source with four choices; pairs of a goal and a step make more examples for training."""
    splits = split(_choices(source), SIZES)
    held_out = (*splits.evaluation, *splits.calibration, *splits.development)
    held_out_texts = frozenset(text for example in held_out for text in example.texts)
    pairs = [
        (goal, step)
        for goal, step in _ordering_pairs(source)
        if held_out_texts.isdisjoint({normalized(goal), normalized(step)})
    ]
    return Splits(
        train=(*splits.train, *_composed(pairs)),
        development=splits.development,
        evaluation=splits.evaluation,
        calibration=splits.calibration,
    )


def _choices(source: Bigbench) -> Iterator[Example]:
    for task in ("goal_inference", "step_inference"):
        for entry in source.examples(f"goal_step_wikihow/{task}"):
            quoted = _QUOTED.match(entry["input"])
            if quoted and len(entry["target_scores"]) == CHOICES:
                choices = list(entry["target_scores"])
                yield _example(
                    entry["input"].strip(), quoted[1], choices, list(entry["target_scores"].values()).index(1)
                )


def _example(context: str, subject: str, choices: Sequence[str], label: int) -> Example:
    return Example(
        record={"context": context, "choices": list(choices), "label": label},
        group=normalized(subject),
        texts=frozenset(normalized(text) for text in (subject, *choices)),
    )


def _ordering_pairs(source: Bigbench) -> list[tuple[str, str]]:
    pairs: dict[tuple[str, str], None] = {}
    for entry in source.examples("goal_step_wikihow/step_ordering"):
        if match := _ORDERING.match(entry["input"]):
            goal, *steps = match.groups()
            pairs.update({(goal, step): None for step in steps})
    return list(pairs)


def _composed(pairs: Sequence[tuple[str, str]]) -> Iterator[Example]:
    """Questions about both parts of each pair; the wrong choices belong to other goals."""
    goals = sorted({goal for goal, _ in pairs})
    for goal, step in pairs:
        random = np.random.default_rng(seed_of(f"{goal}\0{step}"))
        wrong = [pairs[int(index)] for index in random.integers(len(pairs), size=2 * CHOICES)]
        wrong_steps = [other_step for other_goal, other_step in wrong if other_goal != goal][: CHOICES - 1]
        wrong_goals = [name for name in random.choice(goals, size=CHOICES, replace=False) if name != goal]
        place = int(random.integers(CHOICES))
        yield _composed_example(STEP_QUESTION, goal, step, wrong_steps, place)
        yield _composed_example(GOAL_QUESTION, step, goal, wrong_goals[: CHOICES - 1], place)


def _composed_example(question: str, subject: str, right: str, wrong: Sequence[str], place: int) -> Example:
    choices = [str(text) for text in (*wrong[:place], right, *wrong[place:])]
    return _example(question.format(subject), subject, choices, place)
