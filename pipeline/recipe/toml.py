"""Recipes as TOML: recipes/<name>.toml. Paths are relative to the file; nothing unknown is passed over.

name = "sentiment"                          # default: the file's name
checkpoint = "../demo/checkpoints/sentiment"
head = "sequence_classification"            # default: what config.json names
variants = ["onnxruntime-cpu:fp32"]
evaluation = "evaluation.jsonl.gz"
calibration = "calibration.jsonl.gz"
exclude = ["qa_outputs"]                    # modules that stay in floating point
plans = "tuned.toml"                        # what `distilforge tune` found, in place of the committed plans

[spans]
sequence = [1, 128, 512]                    # low, usual, high

[engine]                                    # every field of EngineOptions
capabilities = ["8.6", "8.9"]               # compute capabilities; default: what the compiler is for by itself
buckets = [64, 128, 512]                    # token counts at which optimization profiles end; default: one profile
timing_cache = "kernels.cache"

[gates]                                     # every field of validation's Gates
margin = 0.01

[gates.limits.int8]                         # every field of validation's Limits; "off" is reported and not judged
agreement = 0.98
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

from distilforge.manifest import Span

from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.recipe.recipe import DEFAULT_VARIANTS, Recipe, VariantName
from pipeline.targets import precisions
from validation.errors import GatesError
from validation.gate import LIMITS, Gates, Latency, Limits

OFF = "off"


def read(path: Path) -> Recipe:
    """The recipe in `path`; UsageError names file, key and value, and the nearest known key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as cause:
        raise UsageError(f"there is no recipe {path}", hint="recipes lie in recipes/*.toml") from cause
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise UsageError(f"{path} is no readable TOML file: {cause}") from cause
    table = _Table(values, str(path))
    table.only({entry.name for entry in fields(Recipe)})
    variants = table.texts("variants")
    try:
        return Recipe(
            name=table.text("name") or path.stem,
            checkpoint=_checkpoint(table, path),
            head=table.text("head"),
            variants=tuple(map(VariantName.parse, variants)) if variants is not None else DEFAULT_VARIANTS,
            spans=table.table("spans").spans(),
            calibration=_beside(path, table.text("calibration")),
            evaluation=_beside(path, table.text("evaluation")),
            exclude=table.texts("exclude") or (),
            plans=_beside(path, table.text("plans")),
            engine=_engine(table.table("engine"), path),
            gates=_gates(table.table("gates")),
        )
    except (UsageError, GatesError) as cause:
        if cause.message.startswith(str(path)):
            raise
        raise UsageError(f"{path}: {cause.message}", hint=cause.hint) from cause


def _checkpoint(table: "_Table", path: Path) -> str:
    text = table.text("checkpoint")
    if text is None:
        raise UsageError(f"{path} lacks the key 'checkpoint'", hint="a folder, or a hub id")
    # A hub id has one slash and no dots before it, as a path may; a folder that is there wins.
    beside = path.parent / text
    if beside.exists() or text.startswith((".", "/")) or text.count("/") != 1:
        return str(beside)
    return text


def _beside(path: Path, text: str | None) -> Path | None:
    return None if text is None else path.parent / text


def _engine(table: "_Table", path: Path) -> EngineOptions:
    defaults = EngineOptions()
    table.only({entry.name for entry in fields(EngineOptions)})
    return EngineOptions(
        capabilities=table.texts("capabilities") or (),
        buckets=table.wholes("buckets") or (),
        tf32=table.flag("tf32", defaults.tf32),
        optimization_level=table.whole("optimization_level"),
        workspace_mb=table.whole("workspace_mb"),
        hardware_compatibility=table.text("hardware_compatibility") or defaults.hardware_compatibility,
        version_compatible=table.flag("version_compatible", defaults.version_compatible),
        weights_stripped=table.flag("weights_stripped", defaults.weights_stripped),
        detailed=table.flag("detailed", defaults.detailed),
        timing_cache=_beside(path, table.text("timing_cache")),
    )


def _gates(table: "_Table") -> Gates:
    defaults = Gates()
    table.only({entry.name for entry in fields(Gates)})
    shapes = table.pairs("shapes")
    batch_dependent = table.texts("batch_dependent")
    mode = table.text("mode") or defaults.mode
    if mode not in ("enforce", "report"):
        raise table.misfit("mode", mode, "'enforce' or 'report'")
    latency = table.text("latency") or defaults.latency
    return Gates(
        limits=table.table("limits").limits(),
        margin=table.number("margin", defaults.margin),
        confidence=table.number("confidence", defaults.confidence),
        latency=_latency(table, latency),
        speedup=table.number("speedup", defaults.speedup),
        sibling_speedup=table.number("sibling_speedup", defaults.sibling_speedup),
        batch_dependent=defaults.batch_dependent if batch_dependent is None else batch_dependent,
        mode="report" if mode == "report" else "enforce",
        shapes=defaults.shapes if shapes is None else shapes,
        seconds_per_shape=table.number("seconds_per_shape", defaults.seconds_per_shape),
        looks=defaults.looks if (looks := table.whole("looks")) is None else looks,
        threads=table.whole("threads"),
    )


def _latency(table: "_Table", text: str) -> Latency:
    known: tuple[Latency, ...] = get_args(Latency)
    for name in known:
        if text == name:
            return name
    raise table.misfit("latency", text, " or ".join(map(repr, known)))


class _Table:
    """One TOML table; every getter raises UsageError where the value does not fit."""

    def __init__(self, values: Mapping[str, object], place: str) -> None:
        self._values = values
        self._place = place

    def only(self, known: set[str]) -> None:
        for key in self._values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise UsageError(
                    f"{self._place} has the unknown key {key!r}; known: {', '.join(sorted(known))}",
                    hint=f"did you mean {near[0]!r}?" if near else "",
                )

    def misfit(self, key: str, value: object, expected: str) -> UsageError:
        return UsageError(f"{self._place}: {key!r} must be {expected}, found {value!r:.80}")

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not (isinstance(value, str) and value):
            raise self.misfit(key, value, "text")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.misfit(key, value, "a list of texts")
        return tuple(value)

    def number(self, key: str, default: float) -> float:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.misfit(key, value, "a number")
        return float(value)

    def whole(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is not None and not _is_whole(value):
            raise self.misfit(key, value, "a whole number")
        return value if isinstance(value, int) else None

    def wholes(self, key: str) -> tuple[int, ...] | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not _are_whole(value, len(value)):
            raise self.misfit(key, value, "a list of whole numbers")
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.misfit(key, value, "true or false")
        return value

    def pairs(self, key: str) -> tuple[tuple[int, int], ...] | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(_are_whole(entry, 2) for entry in value):
            raise self.misfit(key, value, "a list of pairs [batch, tokens]")
        return tuple((int(batch), int(tokens)) for batch, tokens in value)

    def table(self, key: str) -> "_Table":
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.misfit(key, value, "a table")
        return _Table(value, f"{self._place} [{key}]")

    def limits(self) -> dict[str, Limits]:
        """Limits by precision: the defaults, with every field that a table [limits.<precision>] sets."""
        self.only({*LIMITS, *precisions()})
        changed = {
            precision: self.table(precision)._limits(Gates().of(precision)) for precision in self._values
        }
        return {**LIMITS, **changed}

    def _limits(self, defaults: Limits) -> Limits:
        self.only({entry.name for entry in fields(Limits)})
        faster_than = self.texts("faster_than")
        return Limits(
            error=self._limit("error", defaults.error),
            noise=self._limit("noise", defaults.noise),
            agreement=self._limit("agreement", defaults.agreement),
            cosine=self._limit("cosine", defaults.cosine),
            shift=self._limit("shift", defaults.shift),
            flips=self._limit("flips", defaults.flips),
            faster_than=defaults.faster_than if faster_than is None else faster_than,
        )

    def _limit(self, key: str, default: float | None) -> float | None:
        if key not in self._values:
            return default
        value = self._values[key]
        if value == OFF:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.misfit(key, value, f"a number, or {OFF!r}")
        return float(value)

    def spans(self) -> dict[str, Span]:
        for axis, value in self._values.items():
            if not _are_whole(value, 3):
                raise self.misfit(axis, value, "three whole numbers: low, usual, high")
        return {axis: _span(value) for axis, value in self._values.items()}


def _span(value: object) -> Span:
    assert isinstance(value, list)
    low, usual, high = value
    return Span(low=low, usual=usual, high=high)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_whole(value: object, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_whole, value))
