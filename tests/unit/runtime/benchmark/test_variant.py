"""The shapes at which a release is timed lie within its spans."""

from dataclasses import replace
from pathlib import Path

from distilforge.benchmark.variant import USUAL_SHAPES, shapes_within_spans, usual_choices
from distilforge.manifest import Span

from tests.runtime_release import read_manifest


def test_shapes_move_into_the_spans_and_stay_different(release: Path) -> None:
    manifest = read_manifest(release)
    spans = {"batch": Span(low=1, usual=1, high=4), "sequence": Span(low=2, usual=16, high=16)}
    assert list(map(str, shapes_within_spans(USUAL_SHAPES, replace(manifest, spans=spans)))) == [
        "1x16",
        "4x16",
    ]


def test_choices_are_the_usual_number(release: Path) -> None:
    manifest = read_manifest(release)
    assert usual_choices(manifest) is None
    spans = {**manifest.spans, "choices": Span(low=2, usual=3, high=5)}
    assert usual_choices(replace(manifest, spans=spans)) == 3
