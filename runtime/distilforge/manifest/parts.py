"""Readers of a manifest's parts, for documents that hold them elsewhere."""

from distilforge.json_fields import Fields
from distilforge.manifest.document import READER
from distilforge.manifest.tensors import Span, Tensor
from distilforge.manifest.timing import Measurement, Steadiness
from distilforge.manifest.verdicts import Metric, Verdict


def read_tensor(value: object, path: str) -> Tensor:
    """The Tensor in `value`; ReleaseError naming `path` where it does not fit."""
    return READER.read(Tensor, value, path)


def read_span(value: object, path: str) -> Span:
    """The Span in `value`; ReleaseError naming `path` where it does not fit."""
    return READER.read(Span, value, path)


def read_verdict(value: object, path: str) -> Verdict:
    """The Verdict in `value`; ReleaseError naming `path` where it does not fit."""
    return READER.read(Verdict, value, path)


def read_measurement(value: object, path: str) -> Measurement:
    """The Measurement in `value`; ReleaseError naming `path` where it does not fit."""
    return READER.read(Measurement, value, path)


def read_metric(value: object, path: str) -> Metric:
    """The Metric in `value`; ReleaseError naming `path` where it does not fit."""
    return READER.read(Metric, value, path)


def read_steadiness(fields: Fields) -> Steadiness:
    """The Steadiness in `fields`; ReleaseError naming the field that does not fit."""
    return READER.read(Steadiness, fields.value, fields.path)
