"""Writes settings as TOML, for every command that needs it. The standard library can only read TOML."""

from collections.abc import Mapping, Sequence

Value = str | bool | Sequence[str | Mapping[str, str]]


def toml_line(name: str, value: Value) -> str:
    """Return `name = value` as a line of a txmon.toml. name: a setting's name, which needs no quotes."""
    return f"{name} = {_literal(value)}"


def _literal(value: Value | Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_quoted(text)}' for key, text in value.items())}}}"
    return f"[{', '.join(map(_literal, value))}]"


def _quoted(text: str) -> str:
    """Return `text` as a TOML string of printable ASCII.

    A lone surrogate, which TOML cannot represent, becomes U+FFFD.
    """
    found = []
    for character in text:
        code = ord(character)
        if " " <= character <= "~":
            found.append(f"\\{character}" if character in '"\\' else character)
        elif 0xD800 <= code <= 0xDFFF:
            found.append("\\ufffd")
        else:
            found.append(f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}")
    return f'"{"".join(found)}"'
