"""YAML text to plain values, with all that YAML itself would let pass noted as faults.

The words of PyYAML's errors are used, its excerpts of the text are not: a line of a site file may hold a password.
"""

from __future__ import annotations

import os
import re
from typing import Any

import yaml

from vad.errors import ConfigError, Fault

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def read_yaml(text: str, *, source: str, faults: list[Fault]) -> Any:
    """The document's values, None when it is empty. Raises ConfigError, naming ``source``, where it cannot be read.

    Duplicate keys are added to ``faults`` instead of the last one winning silently.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _note_duplicates(root, "", faults)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        why = f"is not YAML: {_without_excerpt(exc)}"
    except ValueError as exc:  # from int() and date(), which PyYAML calls on what looks like one
        why = f"holds a number or a date that is none: {exc}; quote it if it is text"
    except RecursionError:
        why = "nests too deep, or an alias holds itself"
    raise ConfigError(source, [Fault("", why)])


def fill_variables(value: Any, path: str = "", *, faults: list[Fault]) -> Any:
    """``${VAR}`` in every string from the environment; variables that are not set are added to ``faults``."""
    if isinstance(value, dict):
        return {k: fill_variables(v, f"{path}.{k}" if path else str(k), faults=faults) for k, v in value.items()}
    if isinstance(value, list):
        return [fill_variables(v, f"{path}.{i}", faults=faults) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            faults.append(Fault(path, f"environment variable {match[1]!r} is not set"))
            return "unset"
        return os.environ[match[1]]

    return _VARIABLE.sub(fill, value)


def _note_duplicates(node: yaml.Node, path: str, faults: list[Fault]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = str(getattr(key, "value", key))
            here = f"{path}.{name}" if path else name
            if name in seen:
                faults.append(Fault(here, f"stands twice: lines {seen[name]} and {key.start_mark.line + 1}"))
            seen.setdefault(name, key.start_mark.line + 1)
            _note_duplicates(value, here, faults)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_duplicates(value, f"{path}.{index}", faults)


def _without_excerpt(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):  # a character that no YAML may hold
        return " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return ", ".join(part for part in (error.context, error.problem) if part) + where
