"""Values in Markdown are text, whatever they contain."""

import pytest

from pipeline.release.markdown import escape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("x\n\n# heading\n\n![](http://evil/x.png)", r"x # heading !\[\](http://evil/x.png)"),
        ("a | b", r"a \| b"),
        ("*bold* _too_ `code` ~~gone~~", r"\*bold\* \_too\_ \`code\` \~\~gone\~\~"),
        ("back\\slash", r"back\\slash"),
        ("&lt;b&gt; &#60;", r"\&lt;b\&gt; \&#60;"),
        ("\x1b[2J", r"\\u001b\[2J"),
    ],
)
def test_what_markdown_would_interpret_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "onnxruntime-cpu:fp32",
        "sequence_classification",
        "at most 0.01 values",
        "a < b & c",
        "macro F1",
        "8 x 128",
        "-",
    ],
)
def test_names_and_numbers_stay_readable(text: str) -> None:
    assert escape(text) == text
