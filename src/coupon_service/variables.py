"""The settings as environment variables: their names, what sets them, and what looks like one."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from pydantic_core import PydanticUndefined

from coupon_service.settings import ENV_FILE, ENV_PREFIX, Settings

# What the commands that call a service read; see cli_calls.
CALLERS_VARIABLES = ("COUPON_URL", "COUPON_TOKEN")
# From which on a name is taken for another that was misspelt: 1 is the same.
SIMILARITY_MIN = 0.9


def as_variables(settings: Settings, **instead: object) -> dict[str, str]:
    """Return the environment variables that make these settings, with some changed."""
    chosen = {**settings.model_dump(mode="json"), **instead}
    return {
        f"{ENV_PREFIX}{name}".upper(): ",".join(value) if isinstance(value, list) else str(value)
        for name, value in chosen.items()
        if value is not None
    }


def described() -> list[tuple[str, str, str]]:
    """Return each setting's variable, default and description, in order."""
    return [
        (f"{ENV_PREFIX}{name}".upper(), _shown(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def unknown() -> Iterator[tuple[str, str | None]]:
    """Yield each variable that looks like a setting and is none, with the one it misspells.

    That is None where no setting is nearly the same: a platform may set such variables of
    its own accord, as Kubernetes does for a service that is called coupon.

    Raises:
        UnicodeDecodeError: the file .env is not in UTF-8.
    """
    known = {variable for variable, _, _ in described()}.union(CALLERS_VARIABLES)
    for name in sorted({*os.environ, *dotenv_values(ENV_FILE)}):
        variable = name.upper()
        if variable.startswith(ENV_PREFIX) and variable not in known:
            nearest = difflib.get_close_matches(variable, sorted(known), n=1, cutoff=SIMILARITY_MIN)
            yield name, nearest[0] if nearest else None


def unreadable_line() -> int | None:
    """Return the number of the first line of the file .env that is none, or None.

    pydantic-settings would leave such a line out, and a token's hash with it.

    Raises:
        UnicodeDecodeError: the file is not in UTF-8.
    """
    try:
        with Path(ENV_FILE).open(encoding="utf-8") as file:
            return next((_number(x) for x in parse_stream(file) if _is_unreadable(x)), None)
    except (FileNotFoundError, IsADirectoryError):
        return None


def _number(line: Binding) -> int:
    """Return where a line is; the parser counts from the blank ones before it."""
    text = line.original.string
    return line.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _is_unreadable(line: Binding) -> bool:
    is_setting = (line.key or "").upper().startswith(ENV_PREFIX)
    return line.error or (is_setting and line.value is None)


def _shown(default: object) -> str:
    """Return a default as a person reads it; nothing if it is computed, empty or none."""
    if default is None or default is PydanticUndefined or default == ():
        return ""
    return str(default).lower()
