"""The model card: README.md of a release, written from its manifest."""

import statistics
from collections.abc import Mapping

import jinja2
from distilforge.manifest import Manifest, Measurement, Metric, Variant

from validation.report import AGREEMENT, EAGER, room

# How the check begins that a metric's loss lies within the margin
MARGIN = "loss of "
# What every other precision is held against, where the release has it
BASE = "fp32"

# What to pass where it is not simply a list of texts
_CALLS = {
    "masked_lm": 'session(["A text with a [MASK]."])',
    "question_answering": 'session([("A question?", "The text that holds the answer.")])',
    "multiple_choice": 'session([("A context.", ["One option.", "Another option."])])',
}
_CALL = 'session(["A text."])'

_TEMPLATE = """\
# {{ manifest.name }} {{ manifest.version }}

A DistilBERT with the head {{ manifest.head }}, exported and validated by distilforge.
{%- if not manifest.validated %}

**Not validated.** It failed a check below and was published on request; `distilforge.open` refuses it unless told
`allow_unvalidated=True`.
{%- endif %}
{% if manifest.head.endswith("classification") %}
Labels: {{ manifest.labels | join(", ") }}
{% endif %}
## How accurate

{% if metrics -%}
| variant | metric | eager PyTorch | this | change | examples |
|---|---|---|---|---|---|
{% for variant, metric in metrics -%}
| {{ variant }} | {{ metric.name }} | {{ "%.4f" | format(metric.eager) }} | {{ "%.4f" | format(metric.variant) }} \
| {{ "%+.4f" | format(metric.variant - metric.eager) }} | {{ metric.examples }} |
{% endfor %}
{%- endif %}
{%- if not labelled %}
No labelled data were given, so only agreement with eager PyTorch was judged.
{% endif %}
| variant | check | observed | limit | room | met |
|---|---|---|---|---|---|
{% for variant, verdict in verdicts -%}
| {{ variant }} | {{ verdict.check }} | {{ "%.3g" | format(verdict.observed) }} \
| {{ verdict.comparison }} {{ "%.3g" | format(verdict.limit) }} {{ verdict.unit }} \
| {{ "%.3g" | format(verdict | room) }} | {{ "yes" if verdict else "**no**" }} |
{% endfor %}
Room is what lies between the observed and the limit; it is negative where a check failed.
{% for variant, note in notes %}
- {{ variant }}: {{ note }}
{%- endfor %}
{%- for variant in manifest.withheld %}
- **{{ variant.name }} is not in this release**: {{ variant.reason }}.
{%- endfor %}

## How fast

Median milliseconds on {{ manifest.provenance.host }}; the raw samples are in manifest.json.

| variant | MB | batch x tokens | eager PyTorch | this | times faster | than fp32 |
|---|---|---|---|---|---|---|
{% for row in timings -%}
| {{ row.variant }} | {{ row.megabytes }} | {{ row.shape }} | {{ row.eager }} | {{ row.this }} | {{ row.ratio }} \
| {{ row.sibling }} |
{% endfor %}
{%- if engines %}
## Engines

| variant | compiler | MB | compute capabilities | sizes | activations MB | built in s |
|---|---|---|---|---|---|---|
{% for variant, engine in engines -%}
| {{ variant.name }} | {{ engine.flavour }} {{ engine.version }} | {{ "%.1f" | format(engine.bytes / 1e6) }} \
| {{ engine.capabilities | join(" ") }} | {% for profile in engine.profiles %}{% for axis, span in profile.items() %}\
{{ axis }} {{ span.low }} to {{ span.high }}{{ "" if loop.last else ", " }}{% endfor %}{{ "" if loop.last else "; " }}\
{% endfor %} | {{ "-" if engine.activation_bytes is none else "%.0f" | format(engine.activation_bytes / 1e6) }} \
| {{ "%.1f" | format(engine.build_seconds) }} |
{% endfor %}
An engine runs with the compiler's own version of the runtime, on the compute capabilities named; `1.0+` means that and
later ones.
{%- for variant, engine in engines %}{% for warning in engine.warnings %}
- {{ variant.name }}, {{ engine.flavour }} warned: {{ warning }}
{%- endfor %}{% endfor %}
{% endif %}
## How to load

With distilforge's runtime (the folder runtime/ of its repository: `pip install ./runtime`; no PyTorch needed):

```python
import distilforge

session = distilforge.open("path/to/{{ manifest.name }}")
print({{ call }})
```

{% if file -%}
With plain onnxruntime:

```python
import onnxruntime

session = onnxruntime.InferenceSession("path/to/{{ manifest.name }}/latest/{{ file }}")
# inputs {{ manifest.inputs | map(attribute="name") | join(", ") }} ({{ manifest.inputs[0].dtype }}); \
outputs {{ manifest.outputs | map(attribute="name") | join(", ") }}
```

With Optimum:

```python
from optimum.onnxruntime import {{ optimum }}
from transformers import AutoTokenizer

folder = "path/to/{{ manifest.name }}/latest"
model = {{ optimum }}.from_pretrained(folder, subfolder="onnx")
tokenizer = AutoTokenizer.from_pretrained(folder)
```

{% endif -%}
Sizes it takes: {% for axis, span in manifest.spans.items() %}{{ axis }} {{ span.low }} to {{ span.high }}\
{{ "" if loop.last else ", " }}{% endfor %}.

## Where it comes from

| | |
|---|---|
| checkpoint | sha256 {{ manifest.provenance.checkpoint_sha256 }} |
| recipe | sha256 {{ manifest.provenance.recipe_sha256 }} |
| pipeline | git {{ manifest.provenance.git_commit }} |
| made | {{ manifest.provenance.created }} on {{ manifest.provenance.host }} |
| tools | {% for name, version in manifest.provenance.tools.items() %}{{ name }} {{ version }}\
{{ "" if loop.last else ", " }}{% endfor %} |

Every file's SHA-256 is in manifest.json; `distilforge verify FOLDER` checks them.
validation/report.html has the details.
"""


def render(manifest: Manifest, architecture: str) -> str:
    """README.md of the release that `manifest` describes; `architecture` is the head's class in transformers."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown
        keep_trailing_newline=True,
    )
    environment.filters["room"] = room
    task = architecture.removeprefix("DistilBertFor")
    return environment.from_string(_TEMPLATE).render(
        manifest=manifest,
        metrics=[(variant.name, metric) for variant in manifest.variants for metric in variant.metrics],
        verdicts=[(variant.name, verdict) for variant in manifest.variants for verdict in variant.verdicts],
        labelled=any(primary(variant) for variant in manifest.variants),
        notes=[(variant.name, note) for variant in manifest.variants for note in variant.notes],
        timings=[row for variant in manifest.variants for row in _timings(manifest, variant)],
        call=_CALLS.get(manifest.head, _CALL),
        file=next((each.files[0] for each in manifest.variants if not each.compiled), ""),
        engines=[(each, each.compiled) for each in manifest.variants if each.compiled],
        optimum="ORTModelFor" + ("FeatureExtraction" if task == architecture else task),
    )


def _timings(manifest: Manifest, variant: Variant) -> list[Mapping[str, str]]:
    """A row for each shape at which `variant` was timed beside eager PyTorch, and beside fp32 where that is here."""
    sibling = rival(manifest, variant)
    over = {_shape(taken): _milliseconds(taken) for taken, _ in pairs(sibling)} if sibling else {}
    megabytes = sum(manifest.files[file].bytes for file in variant.files if file in manifest.files) / 1e6
    return [
        {
            "variant": variant.name,
            "megabytes": f"{megabytes:.1f}",
            "shape": "{} x {}".format(*_shape(measured)),
            "eager": f"{_milliseconds(eager):.2f}",
            "this": f"{_milliseconds(measured):.2f}",
            "ratio": f"{_milliseconds(eager) / _milliseconds(measured):.2f}",
            "sibling": f"{over[_shape(measured)] / _milliseconds(measured):.2f}"
            if _shape(measured) in over
            else "-",
        }
        for measured, eager in pairs(variant)
    ]


def primary(variant: Variant) -> Metric | None:
    """The metric that is judged; None without labelled data."""
    return next((metric for metric in variant.metrics if metric.name != AGREEMENT), None)


def rival(manifest: Manifest, variant: Variant) -> Variant | None:
    """The release's fp32 variant of the same target, where `variant` is another."""
    return next(
        (
            other
            for other in manifest.variants
            if other.target == variant.target and other.precision == BASE != variant.precision
        ),
        None,
    )


def speedup(variant: Variant, over: Variant) -> float | None:
    """Geometric mean of the ratios of median seconds, over the shapes at which both were timed."""
    theirs = {_shape(taken): _milliseconds(taken) for taken, _ in pairs(over)}
    ratios = [
        theirs[_shape(taken)] / _milliseconds(taken) for taken, _ in pairs(variant) if _shape(taken) in theirs
    ]
    return statistics.geometric_mean(ratios) if ratios else None


def pairs(variant: Variant) -> list[tuple[Measurement, Measurement]]:
    """The variant's measurements, each with eager's at the same shape."""
    eager = {(taken.batch, taken.tokens): taken for taken in variant.measurements if taken.subject == EAGER}
    return [
        (taken, eager[taken.batch, taken.tokens])
        for taken in variant.measurements
        if taken.subject != EAGER and (taken.batch, taken.tokens) in eager
    ]


def _shape(measurement: Measurement) -> tuple[int, int]:
    return measurement.batch, measurement.tokens


def _milliseconds(measurement: Measurement) -> float:
    return 1000 * statistics.median(measurement.seconds)
