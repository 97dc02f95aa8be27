"""Check options of a session's call that come from a command line or a request, by the call's signature."""

import inspect
from collections.abc import Callable, Mapping

from distilforge.errors import InputError
from distilforge.registry import nearest


def check_call_options(
    call: Callable[..., object], head: str, options: Mapping[str, object]
) -> dict[str, object]:
    """The `options` as `call`, the session of `head`, takes them; InputError for one that it does not have or take.

    Lists become tuples where the call's default is a tuple.
    """
    parameters = inspect.signature(type(call).__call__).parameters
    known = {
        name: parameter for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY
    }
    checked: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            raise InputError(
                f"a session of the head {head!r} has no option {name!r:.80}",
                hint=nearest(name, tuple(known)),
            )
        default = known[name].default
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                raise InputError(
                    f"the option {name} must be a list of texts, found {value!r:.80}",
                    hint=f'for example {name}=["O"]',
                )
            checked[name] = tuple(value)
        elif isinstance(default, bool) and not isinstance(value, bool):
            raise InputError(
                f"the option {name} must be true or false, found {value!r:.80}", hint=f"{name}=true"
            )
        else:
            checked[name] = value
    # An empty list checks the values
    call([], **checked)
    return checked
