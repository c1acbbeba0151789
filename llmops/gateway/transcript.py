"""What a backend answered, as the journal keeps it: texts, tool calls, finish reasons, tokens.

Made from a whole answer or from the chunks of a stream. Whatever a backend sends in the wrong
type is left out, never an error: the answer itself is passed on as it came.
"""

from dataclasses import dataclass, field
from typing import Any

FAILED_REASONS = ("error", "abort")
"""Finish reasons with which vLLM ends an answer that it did not finish."""


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    tools: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish: str | None = None


class Transcript:
    """One answer. tokens: as the backend counted them."""

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self._choices: dict[int, _Choice] = {}

    def take(self, answer: dict[str, Any], part: str) -> bool:
        """Add a whole answer (part: `message`) or a chunk (part: `delta`); of the completions
        endpoint both carry `text` instead. Returns whether it says that a choice finished."""
        finished = False
        self._count(answer.get("usage"))
        given = answer.get("choices")
        for choice in given if isinstance(given, list) else ():
            if isinstance(choice, dict):
                finished = self._add(choice, part) or finished
        return finished

    @property
    def problem(self) -> str | None:
        """Why the answer is not whole; None when it is."""
        reasons = [choice.finish for choice in self._choices.values()]
        if not reasons or None in reasons:
            return "the backend's answer ended without a finish_reason"
        failed = [reason for reason in reasons if reason in FAILED_REASONS]
        return f"the backend's answer ended with `{failed[0]}`" if failed else None

    @property
    def has_text(self) -> bool:
        return any(choice.texts or choice.tools for choice in self._choices.values())

    def choices(self) -> list[dict[str, Any]]:
        """As InferenceRecord holds them."""
        return [
            {
                "index": index,
                "text": "".join(choice.texts),
                "tool_calls": [choice.tools[i] for i in sorted(choice.tools)] or None,
                "finish_reason": choice.finish,
            }
            for index, choice in sorted(self._choices.items())
        ]

    def _add(self, given: dict[str, Any], part: str) -> bool:
        index = given.get("index")
        choice = self._choices.setdefault(index if isinstance(index, int) else 0, _Choice())
        content = given.get("text")
        message = given.get(part)
        if isinstance(message, dict):
            content = message.get("content")
            if message.get("tool_calls"):
                self._call(choice.tools, message["tool_calls"])
        if isinstance(content, str) and content:
            choice.texts.append(content)
        finish = given.get("finish_reason")
        if isinstance(finish, str):
            choice.finish = finish
        return isinstance(finish, str)

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            for key in ("prompt_tokens", "completion_tokens"):
                if isinstance(usage.get(key), int):
                    setattr(self, key, usage[key])

    def _call(self, known: dict[int, dict[str, Any]], given: Any) -> None:
        """Tool calls, whole or in pieces: names once, arguments one piece after the other."""
        for place, call in enumerate(given if isinstance(given, list) else ()):
            if not isinstance(call, dict):
                continue
            index = call.get("index")
            key = index if isinstance(index, int) else place
            empty = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            tool = known.setdefault(key, empty)
            for name in ("id", "type"):
                if isinstance(call.get(name), str):
                    tool[name] = call[name]
            function = call.get("function")
            for name in ("name", "arguments"):
                said = function.get(name) if isinstance(function, dict) else None
                if isinstance(said, str):
                    tool["function"][name] += said
