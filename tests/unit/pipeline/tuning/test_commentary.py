"""A search in words."""

from pathlib import Path

from distilforge.manifest import Manifest, Provenance

from pipeline.recipe.plan import Plan
from pipeline.tuning.commentary import comments, gain, progress_message
from tests.unit.pipeline.tuning.test_search import DEFAULT, MadeUpTester, Run, passes

MANIFEST = Manifest(
    name="demo",
    version="",
    head="features",
    labels=(),
    problem_type=None,
    inputs=(),
    outputs=(),
    spans={},
    variants=(),
    files={},
    provenance=Provenance(
        checkpoint_sha256="", recipe_sha256="", git_commit="", tools={}, host="", created=""
    ),
)


def test_a_search_that_found_nothing_says_so(tmp_path: Path) -> None:
    run = Run(MadeUpTester(factors={"a": 2.0}), tmp_path, "a").go()
    assert gain(run.search) == "the default plan: nothing was shown to be faster so far"


def test_a_gain_is_told_with_its_interval(tmp_path: Path) -> None:
    run = Run(MadeUpTester(factors={"a": 0.5}, noise=0.0), tmp_path, "a").go()
    assert gain(run.search) == (
        "2.000 (2.000 to 2.000) times as fast as the default plan, by geometric mean over the shapes"
    )


def test_a_default_that_fails_the_gates_is_said_to(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"wrong": 0.5}, wrong_on_all_texts=frozenset({"wrong"}), noise=0.0)
    run = Run(tester, tmp_path)
    run.search.run(run.proposals, (passes("wrong"),))
    assert gain(run.search).startswith(
        "0.500 (0.500 to 0.500) times as fast as the default plan, which does not meet the gates"
    )


def test_the_comments_of_a_saved_plan(tmp_path: Path) -> None:
    run = Run(MadeUpTester(factors={"a": 0.5}, noise=0.0), tmp_path, "a").go()
    trial = run.search.best
    assert trial is not None
    lines = comments(
        run.search, trial, default=DEFAULT, manifest=MANIFEST, evidence=run.evidence, judged="judged on 7"
    )
    assert all("\n" not in line for line in lines)
    text = "\n".join(lines)
    for part in (
        "for demo (head features) after 2 trials",
        "trials.jsonl",
        "2.000 (2.000 to 2.000)",
        "passes +a",
        "judged on 7",
        "labels: 0.99 (at least 0.98)",
    ):
        assert part in text


def test_the_progress_message_of_a_trial(tmp_path: Path) -> None:
    run = Run(MadeUpTester(factors={"a": 0.5}, noise=0.0), tmp_path, "a").go()
    default, faster = run.evidence.trials
    message = progress_message(run.search, faster, DEFAULT)
    for part in (
        "trial 1 [passes +a]: better, faster, 2.000 (2.000 to 2.000) times as fast",
        "on 100 texts: labels 0.99",
        "best so far [passes +a]",
    ):
        assert part in message
    assert "times as fast" not in progress_message(run.search, default, DEFAULT)


def test_the_message_before_any_plan_could_be_built(tmp_path: Path) -> None:
    trial = Run(MadeUpTester(), tmp_path / "other").go().evidence.trials[0]
    message = progress_message(Run(MadeUpTester(), tmp_path).search, trial, Plan())
    assert message.endswith("best so far [none]")
