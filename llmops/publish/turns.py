"""A chat template as what stands around each turn, found out by rendering it.

Most templates write each message between an opening, which depends on the role, and a closing.
Those can be said in Ollama's template language; templates that do more (Mistral's, tools, dates)
are told apart by rendering, and left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmops.data.tokens import ChatTokenizer

_WORDS = ("Wsystem1", "Wuser2", "Wanswer3", "Wuser4")
"""Contents of the turns of a trial; no template has them."""


@dataclass(frozen=True)
class Turns:
    """start: before everything; opening: by role; closing: after every message; system: what the
    template says of its own where no system message is given."""

    start: str
    opening: Mapping[str, str]
    closing: str
    system: str = ""

    def rendered(self, messages: list[dict[str, str]]) -> str:
        """Up to where the answer begins."""
        if self.system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        said = (self.opening[one["role"]] + one["content"] + self.closing for one in messages)
        return self.start + "".join(said) + self.opening["assistant"]

    def go(self) -> str:
        """The same for Ollama, but for `start`."""
        opening = self.opening
        branches = f'{{{{ if eq .Role "system" }}}}{opening["system"]}'
        branches += f'{{{{ else if eq .Role "user" }}}}{opening["user"]}'
        branches += f"{{{{ else }}}}{opening['assistant']}{{{{ end }}}}"
        turn = f"{branches}{{{{ .Content }}}}{self.closing}"
        return f"{{{{- range .Messages }}}}{turn}{{{{ end }}}}{opening['assistant']}"


def turns_of(tokenizer: ChatTokenizer) -> Turns | None:
    """None for a model without a chat template, or whose template does more than that."""
    from jinja2 import TemplateError

    chat = _conversation()
    try:
        found = _guess(tokenizer, chat)
        same = all(
            found.rendered(one) == tokenizer.rendered(one) for one in (chat[1:2], chat[:2], chat)
        )
    except (TemplateError, LookupError, TypeError, ValueError):
        return None
    pieces = [found.start, *found.opening.values(), found.closing, found.system]
    return found if same and not any(map(_is_syntax, pieces)) else None


def _is_syntax(piece: str) -> bool:
    """Whether Ollama would read more than a text in it; a quote at its end would be the first of
    those that close it."""
    return piece.endswith('"') or any(mark in piece for mark in ("{{", "}}", '"""'))


def _conversation() -> list[dict[str, str]]:
    roles = ("system", "user", "assistant", "user")
    pairs = zip(roles, _WORDS, strict=True)
    return [{"role": role, "content": word} for role, word in pairs]


def _guess(tokenizer: ChatTokenizer, chat: list[dict[str, str]]) -> Turns:
    """Raises ValueError where the pieces do not stand in order."""
    begun, asked = (tokenizer.rendered(chat, answering=answering) for answering in (False, True))
    parts, rest = [], begun
    for word in _WORDS:
        part, rest = rest.split(word)
        parts.append(part)
    closing, bos = rest, tokenizer.special.get("bos_token", "")
    start = bos if bos and parts[0].startswith(bos) else ""
    opening = {
        "system": parts[0].removeprefix(start),
        "user": parts[1].removeprefix(closing),
        "assistant": asked.removeprefix(begun),
    }
    alone = tokenizer.rendered(chat[1:2], answering=False)
    own = alone.removeprefix(parts[0]).removesuffix(parts[1] + _WORDS[1] + closing)
    system = own if parts[0] + own + parts[1] + _WORDS[1] + closing == alone else ""
    return Turns(start, opening, closing, system)
