"""The model card: README.md of a release, written from its manifest."""

import json
from collections.abc import Mapping

import jinja2
from distilforge.heads import heads
from distilforge.manifest import Manifest, Metric, Outcome, Variant
from distilforge.onnxruntime.engine import OLDEST
from distilforge.openvino.settings import settings
from distilforge.printable import one_line
from distilforge.session import Session
from distilforge.text.prompts import Prompts
from distilforge.timing import claims

from model_src.sentence.modules import SentenceModules
from pipeline.release import markdown
from validation import tasks
from validation.judgement.verdicts import TOKEN_IDS, listed, open_questions
from validation.reports.numbers import of_verdict
from validation.reports.report import AGREEMENT, EAGER, headroom

_DIGITS = 3
# The folder that plain onnxruntime and Optimum read
_ONNX = "onnx/"
# The precision that the others of a release are compared with
BASE_PRECISION = "fp32"

_NO_PROMPTS = Prompts()
_OUTCOMES: Mapping[Outcome, str] = {"met": "yes", "not met": "**no**", "not settled": "not settled"}

_TEMPLATE = """\
# {{ manifest.name }} {{ manifest.version }}

A DistilBERT with the head {{ manifest.head }}, exported and validated by distilforge.
{%- if unsettled_answers %}

**Not all is settled.** No check failed, but the evaluation data are too few, or do not fit the model, to settle \
{{ unsettled_answers }}: see "How accurate".
{%- endif %}
{%- if not manifest.validated %}

**Not validated.** It failed a check below and was published on request; `distilforge.open` refuses it unless told
`allow_unvalidated=True`.
{%- endif %}
{% if classifies %}
Labels: {{ manifest.labels | join(", ") }}
{% endif %}
{%- if sentence %}
## The embedding of a text

The output `sentence_embedding` has these modules of sentence-transformers after the encoder, computed in the graph:

{% for module in sentence.modules -%}
{{ loop.index }}. {{ module | string }}
{% endfor %}
{% if sentence.truncate_dim -%}
The embedding is the first {{ sentence.truncate_dim }} numbers of the result.
{% endif -%}
A text has at most {{ manifest.spans["sequence"].high }} tokens\
{% if sentence.do_lower_case %}, and is changed to lower case{% endif %}.\
{% if prompts %} Prompts stand in front of a text:

| prompt | text |
|---|---|
{% for name, text in prompts.items() -%}
| {{ name }} | {{ text | quoted }} |
{% endfor %}
{% if default_prompt -%}
Without `prompt_name`, `session(text)` takes \
{{ prompts.items() | selectattr(1, "equalto", default_prompt) | map("first") | first }}.
{%- else -%}
Without `prompt_name`, `session(text)` takes none.
{%- endif %}
{%- endif %}
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
| variant | check | observed | limit | headroom | met |
|---|---|---|---|---|---|
{% for variant, verdict in verdicts -%}
| {{ variant }} | {{ verdict.check }} \
| {{ verdict | observed }} | {{ verdict.comparison }} {{ verdict | limit }} {{ verdict.unit }} \
| {{ "%.3g" | format(verdict | headroom) if verdict.settled else "-" }} | {{ outcomes[verdict.outcome] | as_is }} |
{% endfor %}
Headroom is the distance from the observed value to the limit; it is negative if the check failed. A check that is not
settled is neither a failure nor a claim.
{% if token_ids_reason %}
**The token ids are not settled**: {{ token_ids_reason }}.
{% endif %}
{%- for variant, note in notes %}
- {{ variant }}: {{ note }}
{%- endfor %}
{%- for variant in manifest.withheld %}
- **{{ variant.name }} is not in this release**: {{ variant.reason }}.
{%- endfor %}

## How fast

{% if unsettled -%}
**Not settled.** The machine was not steady while this release was timed, twice: {{ unsettled }}. So no speed is
claimed; the raw samples are in manifest.json. `python -m distilforge bench FOLDER` measures it where it runs.
{% elif not timings -%}
Nothing was timed. `python -m distilforge bench FOLDER` measures it where it runs.
{% else -%}
Median milliseconds on {{ manifest.provenance.host }}; every ratio is the median over rounds in which all took turns,
with the ends of its interval, each at 95%. Where an interval includes 1, neither is shown to be faster. The raw samples
are in manifest.json; `python -m distilforge bench FOLDER` measures it where it runs.

| variant | MB | batch x tokens | eager PyTorch | this | times as fast | than fp32 |
|---|---|---|---|---|---|---|
{% for row in timings -%}
| {{ row.variant }} | {{ row.megabytes }} | {{ row.shape }} | {{ row.eager }} | {{ row.this }} | {{ row.ratio }} \
| {{ row.sibling }} |
{% endfor %}
{%- endif %}
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

session = distilforge.open("path/to/{{ manifest.name | code }}")
print({{ call | code }})
```

{% if file -%}
With plain onnxruntime, {{ oldest_onnxruntime }} or newer (1.20.0 to 1.21.0 give wrong answers, without an error, for \
batches of texts of different lengths):

```python
import onnxruntime

session = onnxruntime.InferenceSession("path/to/{{ manifest.name | code }}/latest/{{ file | code }}")
# inputs {{ manifest.inputs | map(attribute="name") | join(", ") | code }} ({{ manifest.inputs[0].dtype | code }}); \
outputs {{ manifest.outputs | map(attribute="name") | join(", ") | code }}
```

With Optimum:

```python
from optimum.onnxruntime import {{ optimum | code }}
from transformers import AutoTokenizer

folder = "path/to/{{ manifest.name | code }}/latest"
model = {{ optimum | code }}.from_pretrained(folder, subfolder="onnx")
tokenizer = AutoTokenizer.from_pretrained(folder)
```

{% endif -%}
{% for variant, properties in openvino -%}
With plain OpenVINO, {{ variant.name }}; with other properties it was not validated:

```python
import openvino

compiled = openvino.Core().compile_model(
    "path/to/{{ manifest.name | code }}/latest/{{ variant.files[0] | code }}", "CPU", {{ properties | code }}
)
```

{% endfor -%}
Accepted sizes: {% for axis, span in manifest.spans.items() %}{{ axis }} {{ span.low }} to {{ span.high }}\
{{ "" if loop.last else ", " }}{% endfor %}.

## Where it comes from

| | |
|---|---|
| checkpoint | sha256 {{ manifest.provenance.checkpoint_sha256 }} |
| recipe | sha256 {{ manifest.provenance.recipe_sha256 }} |
{% for purpose, sha256 in manifest.provenance.data_sha256.items() -%}
| {{ purpose }} data | sha256 {{ sha256 }} |
{% endfor -%}
| pipeline | git {{ manifest.provenance.git_commit }} |
| made | {{ manifest.provenance.created }} on {{ manifest.provenance.host }} |
| tools | {% for name, version in manifest.provenance.tools.items() %}{{ name }} {{ version }}\
{{ "" if loop.last else ", " }}{% endfor %} |

Every file's SHA-256 is in manifest.json; `distilforge verify FOLDER` checks them. sbom.cdx.json has the licences.
validation/report.html has the details.
"""


def render(
    manifest: Manifest,
    architecture: str,
    sentence: SentenceModules | None = None,
    prompts: Prompts = _NO_PROMPTS,
) -> str:
    """The text of README.md for the release of `manifest`; `architecture` is the head's class in transformers.

    `sentence` and `prompts` are those of a release with the modules of sentence-transformers.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown
        keep_trailing_newline=True,
        finalize=_escaped,
    )
    environment.filters |= {
        "headroom": headroom,
        "observed": lambda verdict: of_verdict(verdict, digits=_DIGITS)[0],
        "limit": lambda verdict: of_verdict(verdict, digits=_DIGITS)[1],
        "as_is": _AsIs,
        "code": _code,
        "quoted": _quoted,
    }
    task = architecture.removeprefix("DistilBertFor")
    return environment.from_string(_TEMPLATE).render(
        manifest=manifest,
        sentence=sentence,
        prompts={name: text for name, text in prompts.texts.items() if text},
        default_prompt=prompts.default,
        metrics=[(variant.name, metric) for variant in manifest.variants for metric in variant.metrics],
        verdicts=[(variant.name, verdict) for variant in manifest.variants for verdict in variant.verdicts],
        labelled=any(judged_metric(variant) for variant in manifest.variants),
        oldest_onnxruntime=OLDEST,
        token_ids_reason=_reason_against_token_ids(manifest),
        notes=[(variant.name, note) for variant in manifest.variants for note in variant.notes],
        outcomes=_OUTCOMES,
        unsettled_answers=_unsettled_answers(manifest) if manifest.validated else "",
        unsettled="" if claims.are_settled(manifest) else claims.unsettled_reason(manifest),
        timings=[row for variant in manifest.variants for row in _timings(manifest, variant)],
        call=f"session({(heads.get(manifest.head) or Session).example_inputs})",
        classifies=tasks.find(manifest.head).classifies,
        file=next(
            (variant.files[0] for variant in manifest.variants if variant.files[0].startswith(_ONNX)), ""
        ),
        openvino=[
            (variant, str(settings(variant))) for variant in manifest.variants if variant.target == "openvino"
        ],
        engines=[(variant, variant.compiled) for variant in manifest.variants if variant.compiled],
        optimum="ORTModelFor" + ("FeatureExtraction" if task == architecture else task),
    )


def _unsettled_answers(manifest: Manifest) -> str:
    """What the evaluation data do not settle, by variant; empty where they settle all."""
    variants: dict[tuple[str, ...], list[str]] = {}
    for variant in manifest.variants:
        if questions := open_questions(variant.verdicts):
            variants.setdefault(questions, []).append(variant.name)
    return "; ".join(f"{listed(questions)} ({', '.join(names)})" for questions, names in variants.items())


class _AsIs(str):
    """Text of a card in which nothing is escaped."""

    __slots__ = ()


def _escaped(value: object) -> object:
    """What the card has for the value of an expression."""
    return markdown.escape(value) if isinstance(value, str) and not isinstance(value, _AsIs) else value


def _code(text: str) -> _AsIs:
    """`text` inside a block of code, which a line of its own would end."""
    return _AsIs(one_line(text))


def _quoted(text: str) -> str:
    """`text` in quotation marks, between which spaces at its ends are seen."""
    return json.dumps(text, ensure_ascii=False)


def _timings(manifest: Manifest, variant: Variant) -> list[Mapping[str, str]]:
    """A row for each shape at which `variant` was timed with eager PyTorch, and with fp32 if the release has that."""
    sibling = fp32_sibling(manifest, variant)
    megabytes = sum(manifest.files[file].bytes for file in variant.files if file in manifest.files) / 1e6
    rows: list[Mapping[str, str]] = []
    for shape in claims.shapes(manifest, variant.name):
        own, eager = (claims.seconds(manifest, name, shape) for name in (variant.name, EAGER))
        ratio = claims.speedup(manifest, variant.name, EAGER, shapes=[shape])
        if own is None or eager is None or ratio is None:
            continue
        over = claims.speedup(manifest, variant.name, sibling.name, shapes=[shape]) if sibling else None
        rows.append(
            {
                "variant": variant.name,
                "megabytes": f"{megabytes:.1f}",
                "shape": f"{shape.batch} x {shape.tokens}",
                "eager": f"{1000 * eager.value:.2f}",
                "this": f"{1000 * own.value:.2f}",
                "ratio": str(ratio),
                "sibling": str(over) if over else "-",
            }
        )
    return rows


def _reason_against_token_ids(manifest: Manifest) -> str:
    """Why token ids were not compared; empty if they were, and for releases older than that check."""
    return next(
        (
            verdict.reason
            for variant in manifest.variants
            for verdict in variant.verdicts
            if verdict.kind == TOKEN_IDS and not verdict.settled
        ),
        "",
    )


def judged_metric(variant: Variant) -> Metric | None:
    """The metric that the gate judges; None without labelled data."""
    return next((metric for metric in variant.metrics if metric.name != AGREEMENT), None)


def fp32_sibling(manifest: Manifest, variant: Variant) -> Variant | None:
    """The release's fp32 variant of the same target; None if `variant` is that one or there is none."""
    return next(
        (
            other
            for other in manifest.variants
            if other.target == variant.target and other.precision == BASE_PRECISION != variant.precision
        ),
        None,
    )
