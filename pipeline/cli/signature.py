"""Makes a command's parameters of a dataclass, so that each option is declared once."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import get_args

from typer.models import OptionInfo


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer takes it: each parameter that is a dataclass is replaced by the dataclass's fields.

    A field is an option, declared by `Annotated` as in a signature. A field that holds such a dataclass is replaced
    in turn.
    """
    parameters = tuple(inspect.signature(command).parameters.values())
    flat = [
        option
        for parameter in parameters
        for option in _flattened(parameter.name, parameter.annotation, parameter.default)
    ]

    # typer passes every option by its name
    def flattened(**values: object) -> None:
        command(
            **{
                parameter.name: _gathered(parameter.name, parameter.annotation, values)
                for parameter in parameters
            }
        )

    flattened.__name__ = command.__name__
    flattened.__doc__ = command.__doc__
    flattened.__annotations__ = {option.name: option.annotation for option in flat}
    flattened.__dict__["__signature__"] = inspect.Signature(flat)
    return flattened


def flag(options: type, name: str) -> str:
    """How the command line writes the field `name` of the dataclass `options`, such as `--variant`."""
    assert is_dataclass(options)
    (field,) = (field for field in fields(options) if field.name == name)
    (declared,) = (entry for entry in get_args(field.type) if isinstance(entry, OptionInfo))
    # typer keeps the first name that an option is given in the place of its default
    return declared.default if isinstance(declared.default, str) else f"--{name.replace('_', '-')}"


def _flattened(name: str, annotation: object, default: object) -> Iterator[inspect.Parameter]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        for field in fields(annotation):
            yield from _flattened(field.name, field.type, field.default)
    else:
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _gathered(name: str, annotation: object, values: Mapping[str, object]) -> object:
    if isinstance(annotation, type) and is_dataclass(annotation):
        arguments = {field.name: _gathered(field.name, field.type, values) for field in fields(annotation)}
        construct: Callable[..., object] = annotation
        return construct(**arguments)
    return values[name]
