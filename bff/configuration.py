"""Reading the configuration, and saying in one line what is wrong with it.

Later ones win: defaults, the file, well-known environment names, ``BFF_`` environment names.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from bff.endpoints import PLANS
from bff.plans import NOT_KEPT
from bff.settings import ENV_PREFIX, Settings

_PLAN_NAMES = [plan.name for plan in PLANS if plan.keep != NOT_KEPT]

DEFAULT_FILE = Path("config.yaml")

# Names that other programs of the platform read too, and the keys they stand for.
WELL_KNOWN: Mapping[str, tuple[str, ...]] = {
    "ADMIN_EMAILS": ("auth", "admin_emails"),
    "NEXTAUTH_SECRET": ("auth", "nextauth_secret"),
    "REDIS_URL": ("cache", "redis_url"),
    "DATABASE_URL": ("upstreams", "user_store", "url"),
    "INTERNAL_API_KEY": ("upstreams", "gateway", "internal_key"),
    "OPENCLAW_GATEWAY_TOKEN": ("upstreams", "gateway", "token"),
}


class ConfigurationError(Exception):
    """The configuration cannot be used; the message is one line: where, which key, what was expected."""


def load(file: Path | None = None) -> Settings:
    """Return the settings of ``file`` (default: ``config.yaml`` if it is there) and the environment.

    Raises ConfigurationError.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    values = _read(file) if file else {}
    for name, path in WELL_KNOWN.items():
        if os.environ.get(name):
            _put(values, path, os.environ[name])
    _refuse_unknown_variables()
    _merge(values, EnvSettingsSource(Settings)())
    return validate(values, file)


def validate(values: dict[str, Any], file: Path | None = None) -> Settings:
    """Return the settings made of ``values`` alone. Raises ConfigurationError, naming ``file`` as their source."""
    try:
        settings = Settings.model_validate({str(key): value for key, value in values.items()})
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ConfigurationError(_explain(errors[0], file) + more) from None
    for name in settings.keep:
        if name not in _PLAN_NAMES:
            where, key = _source(("keep", name), file)
            raise ConfigurationError(f"{where}: {key}: {_unknown(name, _PLAN_NAMES)}")
    if "redis" in settings.ops.ready_needs and settings.cache.redis_url is None:
        where, key = _source(("ops", "ready_needs"), file)
        raise ConfigurationError(f"{where}: {key}: redis is needed, but cache.redis_url is not set")
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: expected UTF-8 text") from None
    except yaml.YAMLError as error:
        # Only where and what: the parser's own message quotes the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{file}{line}: expected valid YAML") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{file}: expected a mapping of sections")
    return values


def _put(values: dict[str, Any], path: Sequence[str], value: object) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            return  # the validation names the section that is not a mapping
    values[path[-1]] = value


def _merge(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def _refuse_unknown_variables() -> None:
    for name in os.environ:
        section = name.removeprefix(ENV_PREFIX).split("__")[0].lower()
        if name.startswith(ENV_PREFIX) and section not in Settings.model_fields:
            raise ConfigurationError(f"environment: {name}: {_unknown(section, list(Settings.model_fields))}")


def _explain(error: ErrorDetails, file: Path | None) -> str:
    path = tuple(str(part) for part in error["loc"])
    where, key = _source(path, file)
    if error["type"] == "extra_forbidden":
        return f"{where}: {key}: {_unknown(path[-1], _keys_at(path[:-1]))}"
    if error["type"] == "missing":
        return f"{where}: {key}: missing, expected a value"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where}: {key}: expected {expected.replace('String should ', 'text to ')}"


def _source(path: tuple[str, ...], file: Path | None) -> tuple[str, str]:
    """Return where the value at ``path`` came from, and the name it has there."""
    for length in range(len(path), 0, -1):
        name = ENV_PREFIX + "__".join(path[:length]).upper()
        if name in os.environ:
            return "environment", name
    for name, known in WELL_KNOWN.items():
        if os.environ.get(name) and path[: len(known)] == known:
            return "environment", name
    return str(file or "configuration"), ".".join(path)


def _unknown(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown key; {hint}expected one of {', '.join(known)}"


def _keys_at(path: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            continue  # an index into a list, or the name of a plan
        candidates = (field.annotation, *get_args(field.annotation))
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
