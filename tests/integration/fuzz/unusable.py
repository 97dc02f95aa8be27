"""A target that refuses its own sample, so that fuzzing it would show nothing."""

from dataclasses import replace

from tests.fuzz.target import Input
from tests.integration.fuzz import planted

TARGET = replace(planted.TARGET, samples=lambda samples: (Input(name="planted.json", content=b"{"),))
