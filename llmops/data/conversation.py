"""Turns of a conversation, in OpenAI's keys (role, content) or ShareGPT's (from, value).

The order is the one that the engine accepts: an optional system turn, then user and assistant in
turns. It drops any other conversation without a word, so these are refused here. Content is text;
images and other parts are not covered.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llmops.data.rows import RowProblem, kind

OPENAI = ("role", "content")
SHAREGPT = ("from", "value")

_OPENAI_ROLES = {"system": "system", "user": "user", "assistant": "assistant"}
_SHAREGPT_ROLES = {
    "system": "system",
    "human": "user",
    "gpt": "assistant",
    "function_call": "function_call",
    "observation": "observation",
}
_OTHER_NAMES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}
_ASKS = ("user", "observation")
_ANSWERS = ("assistant", "function_call")


class Turn(NamedTuple):
    """One turn. role: system, user, assistant, function_call or observation."""

    role: str
    content: str

    def openai(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}

    def sharegpt(self) -> dict[str, str]:
        names = {own: name for name, own in _SHAREGPT_ROLES.items()}
        return {"from": names[self.role], "value": self.content}


class Conversation(NamedTuple):
    """Checked turns. style: the keys they were written in, or None when both occur or a role has
    a name that the style does not have (then the engine cannot read them as they are)."""

    turns: tuple[Turn, ...]
    style: tuple[str, str] | None

    @property
    def asks(self) -> bool:
        """Whether it ends in a turn that waits for an answer."""
        return bool(self.turns) and self.turns[-1].role in _ASKS

    @property
    def answers(self) -> bool:
        return bool(self.turns) and self.turns[-1].role in _ANSWERS


def read_conversation(value: Any, column: str) -> Conversation:
    """Check a list of turns. Raises RowProblem saying which turn is wrong, and how."""
    if not isinstance(value, list):
        raise RowProblem(
            f"`{column}` is {kind(value)}", "expected a list of turns with `role` and `content`"
        )
    if not value:
        raise RowProblem(f"`{column}` is empty", "expected at least one turn")
    read = [read_turn(item, column, place) for place, item in enumerate(value, 1)]
    turns = tuple(turn for turn, _ in read)
    _check_order(turns, column)
    styles = {style for _, style in read}
    return Conversation(turns, styles.pop() if len(styles) == 1 else None)


def read_turn(
    value: Any, column: str, place: int | None = None
) -> tuple[Turn, tuple[str, str] | None]:
    """One turn and the style that it is written in. place: which turn of `column`, from 1."""
    if not isinstance(value, dict):
        raise RowProblem(
            f"{_where(column, place)} is {kind(value)}", "expected an object with `role`, `content`"
        )
    style = OPENAI if "role" in value else SHAREGPT if "from" in value else None
    if style is None or style[1] not in value:
        raise RowProblem(
            f"{_where(column, place)} has the keys {listed(value)}",
            "expected `role` and `content`, or `from` and `value`",
        )
    name, content = value[style[0]], value[style[1]]
    native = _OPENAI_ROLES if style == OPENAI else _SHAREGPT_ROLES
    role = native.get(name) if isinstance(name, str) else None
    used: tuple[str, str] | None = style
    if role is None and isinstance(name, str) and name in _OTHER_NAMES:
        role, used = _OTHER_NAMES[name], None
    if role is None:
        raise RowProblem(
            f"{_where(column, place)} has the unknown role {name!r}", _role_fix(name, native)
        )
    if value.get("tool_calls"):
        raise RowProblem(f"{_where(column, place)} has tool calls", _role_fix("tool", native))
    if not isinstance(content, str):
        raise RowProblem(
            f"{_where(column, place)}: `{style[1]}` is {kind(content)}", "expected text"
        )
    return Turn(role, content), used


def _where(column: str, place: int | None) -> str:
    return f"`{column}`" if place is None else f"`{column}`, turn {place}"


def _role_fix(name: Any, native: dict[str, str]) -> str:
    if name in ("tool", "function"):
        return "for tools use `conversations` with the roles function_call and observation"
    return "known roles: " + ", ".join(f"`{role}`" for role in native)


def _check_order(turns: Sequence[Turn], column: str) -> None:
    system = 1 if turns[0].role == "system" else 0
    for place, turn in enumerate(turns[system:]):
        expected = _ASKS if place % 2 == 0 else _ANSWERS
        if turn.role not in expected:
            raise RowProblem(
                f"`{column}`, turn {place + 1 + system} is from `{turn.role}`, "
                f"where `{expected[0]}` is expected",
                "user and assistant alternate, after at most one system turn at the start",
            )
    if len(turns) == system:
        raise RowProblem(f"`{column}` has a system turn only", "expected a user turn")


def listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
