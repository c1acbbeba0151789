"""The chat template that a model carries, which decides the tokens of every chat."""

from pathlib import Path
from typing import Any

from llmops.registry.files import read_json
from llmops.registry.manifest import Template
from llmops.store.digest import sha256_text


def template_of(directory: Path, name: str | None = None) -> Template:
    """Of the full model in `directory`. name: the engine's template that was used instead."""
    text = chat_template(directory)
    return Template(name=name, sha256=sha256_text(text) if text else None)


def chat_template(directory: Path) -> str | None:
    """Its Jinja text, from where transformers looks for it; None for a model without one.

    Raises BadInput when a file of it is damaged.
    """
    if (file := directory / "chat_template.jinja").is_file():
        return file.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (file := directory / name).is_file():
            found: Any = read_json(file).get("chat_template")
            if isinstance(found, list):  # several, by name
                named = (one for one in found if isinstance(one, dict))
                found = {one.get("name"): one.get("template") for one in named}.get("default")
            if found:
                return str(found)
    return None
