"""What one of the engine's own templates makes of a chat, and whether the base's makes the same.

Read from the engine's source without importing it (data/template.py: `register_template` and
`Template._encode`). A template that is computed, or of a class with rules of its own, is not
judged.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmops.data.tokens import ChatTokenizer
from llmops.engines.contract import Environment, TrainJob
from llmops.engines.llamafactory.signatures import TEMPLATES
from llmops.engines.llamafactory.source import constant, parsed
from llmops.registry.template import chat_template

PROBE = (
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "Which day is it?"},
)
"""Enough to see how a chat begins, how each side speaks and ends, and how an answer begins."""
_FUSED = "Llama2Template"
"""It puts the system's words into the first of the user's."""
_CLASSES = ("Template", "ReasoningTemplate", "Glm47ReasoningTemplate", _FUSED)
_EXCERPT = 60

Slots = Sequence[Any]
"""Texts with {{content}}; {"token": TEXT}; {"bos_token"} and {"eos_token"}."""


@dataclass(frozen=True)
class EngineTemplate:
    """eos: the token that takes the place of the tokenizer's own; None: that one."""

    prefix: Slots = ()
    system: Slots = ("{{content}}",)
    user: Slots = ("{{content}}",)
    assistant: Slots = ("{{content}}", {"eos_token"})
    default_system: str = ""
    eos: str | None = None
    fused: bool = field(default=False)

    def pieces(self, chat: Sequence[dict[str, str]], special: dict[str, str]) -> Iterator[str]:
        """The texts that the engine tokenizes, each by itself. special: the tokenizer's own tokens
        by name."""
        system = [*_filled(self.system, self.default_system)] if self.default_system else []
        yield from self._texts(self.prefix, special)
        if not self.fused:
            yield from self._texts(system, special)
        for turn, message in enumerate(chat):
            slots = self.user if message["role"] == "user" else self.assistant
            content = message["content"]
            if self.fused and turn == 0 and system:
                content = f"{system[0]}{content}"
            texts = _filled(slots, content, str(turn // 2))
            yield from self._texts([*texts], special)

    def _texts(self, slots: Slots, special: dict[str, str]) -> Iterator[str]:
        for slot in slots:
            if isinstance(slot, str):
                yield slot
            elif isinstance(slot, dict):
                yield str(slot["token"])
            elif "eos_token" in slot:
                yield self.eos or special.get("eos_token", "")
            else:
                yield special.get("bos_token", "")


def check_template(job: TrainJob, environment: Environment) -> None:
    """Raises BadInput for a recipe whose template makes other tokens than the base's own, which
    is the one that serves; unless the recipe insists."""
    spec, directory = job.recipe.spec, job.base.directory
    if spec.template is None or spec.insist_on_template or not directory.is_dir():
        return
    named = read_template(environment.site, spec.template)
    if named is None or chat_template(directory) is None:
        return
    theirs, own = difference(named, ChatTokenizer(directory))
    if theirs != own:
        raise job.recipe.bad(
            f"`{spec.template}` contradicts the base's own chat template, with which it is served: "
            f"where that makes {own!r} of a chat, it makes {theirs!r}",
            ("template",),
            fix="leave it out: the base's own is used; or, where other tokens are meant, "
            "`insist_on_template: true`",
        )


def difference(named: EngineTemplate, base: ChatTokenizer) -> tuple[str, str]:
    """What both make of a short chat, from where they begin to differ; empty where the tokens are
    the same, and where the base's cannot be rendered."""
    from jinja2 import TemplateError

    pieces = [*named.pieces(PROBE, base.special)]
    try:
        own = base.rendered([*PROBE])
    except (TemplateError, ValueError, LookupError):
        return "", ""
    text = "".join(pieces)
    if text == own or _same_tokens(pieces, own, base):
        return "", ""
    same = next((n for n, (a, b) in enumerate(zip(text, own, strict=False)) if a != b), len(own))
    start = max(0, same - _EXCERPT // 3)
    return text[start : start + _EXCERPT], own[start : start + _EXCERPT]


def _same_tokens(pieces: list[str], text: str, base: ChatTokenizer) -> bool:
    try:
        *each, whole = base.tokens([*pieces, text])
    except ValueError:
        return False
    return [token for piece in each for token in piece] == whole


def read_template(site: Path, name: str) -> EngineTemplate | None:
    """The template `name` of the engine in `site`; None for one that cannot be judged."""
    tree = parsed(site / TEMPLATES)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "register_template":
            given = {str(keyword.arg): keyword.value for keyword in node.keywords}
            if constant(given.get("name", node.args[0] if node.args else None)) == name:
                return _read(given)
    return None


def _read(given: dict[str, ast.expr]) -> EngineTemplate | None:
    kind = ast.unparse(given["template_class"]) if "template_class" in given else "Template"
    values: dict[str, Any] = {"fused": kind == _FUSED}
    if constant(given.get("efficient_eos")):
        values["assistant"] = ("{{content}}",)
    for part in ("prefix", "system", "user", "assistant"):
        formatter = given.get(f"format_{part}")
        if formatter is not None:
            values[part] = _slots(formatter)
    if "default_system" in given:
        values["default_system"] = constant(given["default_system"])
    if constant(given.get("replace_eos")):
        values["eos"] = (constant(given.get("stop_words")) or [None])[0]
    known = kind in _CLASSES and None not in values.values()
    return EngineTemplate(**values) if known else None


def _slots(formatter: ast.expr) -> Slots | None:
    if not isinstance(formatter, ast.Call):
        return None
    slots = [keyword.value for keyword in formatter.keywords if keyword.arg == "slots"]
    found = constant(next(iter([*slots, *formatter.args]), None))
    return found if isinstance(found, list) else None


def _filled(slots: Slots, content: str, turn: str = "") -> Iterator[Any]:
    for slot in slots:
        text = isinstance(slot, str)
        yield slot.replace("{{content}}", content, 1).replace("{{idx}}", turn) if text else slot
