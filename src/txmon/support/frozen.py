"""Values that do not change, as `dataclass(frozen=True, slots=True)` makes them, at a twelfth of the cost.

A frozen dataclass writes six functions as text and compiles them, which takes a millisecond for every class. A command
imports thirty such classes before it reads its first line. Here all classes share the same six functions. Use it for
what is made now and then. A value that is made for each line or each request is better off with functions of its own.
"""

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, Final, TypeVar, dataclass_transform

C = TypeVar("C", bound=type)
_set: Final = object.__setattr__


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: C) -> C:
    """Return `cls` as a dataclass with slots whose instances are set once, compared by value and hashable."""
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    shared: tuple[Callable[..., Any], ...] = (
        __init__, __repr__, __eq__, __hash__, __setattr__, __delattr__, __reduce__,
    )  # fmt: skip
    for method in shared:
        if method.__name__ not in vars(cls):  # of its own
            setattr(made, method.__name__, method)
    result: C = made
    return result


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, one.name) for one in fields(self) if one.compare])


def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807 - becomes a method
    every = fields(self)
    name = type(self).__name__
    if len(values) > len(every):
        raise TypeError(f"{name} takes {len(every)} values, not {len(values)}")
    for place, one in enumerate(every):
        if place < len(values):
            if one.name in named:
                raise TypeError(f"{name} got two values for {one.name!r}")
            value = values[place]
        elif one.name in named:
            value = named.pop(one.name)
        elif one.default is not MISSING:
            value = one.default
        elif one.default_factory is not MISSING:
            value = one.default_factory()
        else:
            raise TypeError(f"{name} needs a value for {one.name!r}")
        _set(self, one.name, value)
    if named:
        raise TypeError(f"{name} has no {', '.join(map(repr, named))}")
    if (after := getattr(self, "__post_init__", None)) is not None:
        after()


def __repr__(self: Any) -> str:  # noqa: N807
    return f"{type(self).__qualname__}({', '.join(f'{one.name}={getattr(self, one.name)!r}' for one in fields(self))})"


def __eq__(self: Any, other: object) -> bool:  # noqa: N807
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def __hash__(self: Any) -> int:  # noqa: N807
    return hash(_values(self))


def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: Any, name: str) -> None:  # noqa: N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def __reduce__(self: Any) -> tuple[Any, ...]:  # noqa: N807
    return type(self), tuple([getattr(self, one.name) for one in fields(self)])
