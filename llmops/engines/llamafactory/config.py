"""The engine's config file, written so that PyYAML reads back exactly the values given.

The engine reads YAML 1.1, where `no` is false and `1e-5` is text; so every string is quoted and
every float has a point. One key on each line.
"""

import json
from functools import lru_cache
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Quotes every string."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def render_config(values: dict[str, Any]) -> str:
    """`values` as YAML, in their order."""
    return "".join(f"{key}: {_render(value)}\n" for key, value in values.items())


def _render(value: Any) -> str:
    plain = value is None or isinstance(value, bool | int | float | str)
    return _plain(value) if plain else _dumped(value)


@lru_cache(maxsize=4096, typed=True)
def _plain(value: Any) -> str:
    """Of a thousand stages most options are the same, and each takes 0.1 ms."""
    return _dumped(value)


def _dumped(value: Any) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return json.dumps(value)  # is the same, and a thousand names of data take no time
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        allow_unicode=False,
        sort_keys=False,
        width=float("inf"),
    )
    return text.removesuffix("...\n").strip()
