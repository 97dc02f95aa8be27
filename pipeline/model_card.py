"""The model card: README.md of a release, written from its manifest."""

import statistics
from collections.abc import Mapping

import jinja2
from distilforge.manifest import Manifest, Measurement, Variant

EAGER = "eager"

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
| variant | metric | eager PyTorch | this | examples |
|---|---|---|---|---|
{% for variant, metric in metrics -%}
| {{ variant }} | {{ metric.name }} | {{ "%.4f" | format(metric.eager) }} | {{ "%.4f" | format(metric.variant) }} \
| {{ metric.examples }} |
{% endfor %}
{%- else -%}
No labelled data were given, so only agreement with eager PyTorch was judged.
{% endif %}
| variant | check | observed | limit | met |
|---|---|---|---|---|
{% for variant, verdict in verdicts -%}
| {{ variant }} | {{ verdict.check }} | {{ "%.3g" | format(verdict.observed) }} \
| {{ verdict.comparison }} {{ "%.3g" | format(verdict.limit) }} {{ verdict.unit }} \
| {{ "yes" if verdict else "**no**" }} |
{% endfor %}
## How fast

Median milliseconds on {{ manifest.provenance.host }}; the raw samples are in manifest.json.

| variant | batch x tokens | eager PyTorch | this | ratio |
|---|---|---|---|---|
{% for row in timings -%}
| {{ row.variant }} | {{ row.shape }} | {{ "%.2f" | format(row.eager) }} | {{ "%.2f" | format(row.this) }} \
| {{ "%.2f" | format(row.eager / row.this) }} |
{% endfor %}
## How to load

With distilforge's runtime (the folder runtime/ of its repository: `pip install ./runtime`; no PyTorch needed):

```python
import distilforge

session = distilforge.open("path/to/{{ manifest.name }}")
print({{ call }})
```

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
    task = architecture.removeprefix("DistilBertFor")
    return environment.from_string(_TEMPLATE).render(
        manifest=manifest,
        metrics=[(variant.name, metric) for variant in manifest.variants for metric in variant.metrics],
        verdicts=[(variant.name, verdict) for variant in manifest.variants for verdict in variant.verdicts],
        timings=[row for variant in manifest.variants for row in _timings(variant)],
        call=_CALLS.get(manifest.head, _CALL),
        file=manifest.variants[0].files[0],
        optimum="ORTModelFor" + ("FeatureExtraction" if task == architecture else task),
    )


def _timings(variant: Variant) -> list[Mapping[str, str | float]]:
    """A row for each shape at which `variant` was timed beside eager PyTorch."""
    return [
        {
            "variant": variant.name,
            "shape": f"{measured.batch} x {measured.tokens}",
            "eager": _milliseconds(eager),
            "this": _milliseconds(measured),
        }
        for measured, eager in pairs(variant)
    ]


def pairs(variant: Variant) -> list[tuple[Measurement, Measurement]]:
    """The variant's measurements, each with eager's at the same shape."""
    eager = {(taken.batch, taken.tokens): taken for taken in variant.measurements if taken.subject == EAGER}
    return [
        (taken, eager[taken.batch, taken.tokens])
        for taken in variant.measurements
        if taken.subject != EAGER and (taken.batch, taken.tokens) in eager
    ]


def _milliseconds(measurement: Measurement) -> float:
    return 1000 * statistics.median(measurement.seconds)
