"""The options of `serve` and their bounds."""

import argparse
from pathlib import Path

import pytest
from distilforge.errors import InputError
from distilforge.serve.command import add_parser, options_of
from distilforge.serve.limits import RequestLimits
from distilforge.serve.options import ServeOptions


def parse(*arguments: str) -> ServeOptions:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(), "distilforge", lambda _: "")
    return options_of(parser.parse_args(["serve", "release", *arguments]))


def test_the_defaults_are_those_of_the_dataclass() -> None:
    assert parse() == ServeOptions()
    assert ServeOptions().host == "127.0.0.1"


def test_every_option_arrives() -> None:
    options = parse(
        *("--host", "0.0.0.0", "--port", "0", "--variant", "onnxruntime-cpu:int8", "--threads", "2"),
        *(
            "--trust",
            "key.pem",
            "--max-delay",
            "0.5",
            "--max-tokens",
            "64",
            "--max-padding",
            "1",
            "--max-waiting",
            "8",
        ),
        *("--timeout", "5", "--max-body", "1000", "--max-texts", "3", "--max-characters", "7"),
    )
    assert options == ServeOptions(
        host="0.0.0.0",
        port=0,
        variant="onnxruntime-cpu:int8",
        threads=2,
        trust=Path("key.pem"),
        max_delay=0.5,
        max_tokens=64,
        max_padding=1.0,
        max_waiting=8,
        timeout=5.0,
        limits=RequestLimits(body_bytes=1000, texts=3, characters=7),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "70000"), "from 0 to 65535, found 70000"),
        (("--max-texts", "0"), r"\(--max-texts\) must be a whole number of at least 1, found 0"),
        (("--max-body", "-5"), r"\(--max-body\) must be a whole number of at least 1, found -5"),
        (("--max-characters", "0"), "found 0"),
        (("--host", ""), r"\(--host\) is empty"),
    ],
)
def test_what_is_out_of_bounds_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(*arguments)
