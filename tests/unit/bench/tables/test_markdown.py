"""The wrapping of the tables' document."""

from bench.tables import markdown


def test_long_lines_are_wrapped_and_tables_are_not() -> None:
    words = "word " * 40
    row = f"| {words}|"
    document = f"## Title\n\n{words}\n\n- {words}\n{row}\n- short\n"
    lines = markdown.wrapped(document).split("\n")
    assert row in lines
    assert all(len(line) <= 120 for line in lines if line != row)
    assert lines[:2] == ["## Title", ""]
    entry = next(index for index, line in enumerate(lines) if line.startswith("- word"))
    assert lines[entry + 1].startswith("  word")
    assert lines[-2:] == ["- short", ""]
    assert " ".join(markdown.wrapped(document).split()) == " ".join(document.split())


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    address = "https://example.org/" + "x" * 200
    assert address in markdown.wrapped(f"see {address} for it")
