"""A row of each layout, checked and in one form: what it trains on, what it asks.

`read_sample` raises RowProblem for what the engine would drop or misread without a word.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llmops.data.conversation import (
    OPENAI,
    SHAREGPT,
    Conversation,
    Turn,
    read_conversation,
    read_turn,
)
from llmops.data.rows import RowProblem, kind
from llmops.spec.recipe import Layout

Columns = Mapping[str, str]
_PROMPT_CHARACTERS = 60


class Sample(NamedTuple):
    """A checked row. row: in the layout's own columns; prompt: messages or text to ask a model,
    None where there is none; plain: the engine reads the file's row the same way; empty: nothing
    to learn in it; same: both answers of a pair are the same."""

    row: dict[str, Any]
    prompt: Any
    plain: bool = True
    empty: bool = False
    same: bool = False


def read_sample(layout: Layout, row: Mapping[str, Any], columns: Columns) -> Sample:
    """Check one row. columns: the layout's column -> the file's own."""
    return _READERS[layout](row, columns)


def _string(row: Mapping[str, Any], columns: Columns, column: str) -> str:
    name = columns[column]
    if name not in row or row[name] is None:
        raise RowProblem(f"`{name}` is missing", "expected text")
    value = row[name]
    if not isinstance(value, str):
        raise RowProblem(f"`{name}` is {kind(value)}", "expected text")
    return value


def _optional(row: Mapping[str, Any], columns: Columns, column: str) -> str:
    name = columns.get(column)
    if name is None or row.get(name) is None:
        return ""
    return _string(row, columns, column)


def _text(row: Mapping[str, Any], columns: Columns) -> Sample:
    text = _string(row, columns, "text")
    empty = not text.strip()
    # The engine would train on an end-of-text token for each empty row: those are left out.
    return Sample({"text": text}, _opening(text) or None, plain=not empty, empty=empty)


def _opening(text: str) -> str:
    """The first words of a text, as a prompt to go on from."""
    start = " ".join(text.split())
    if len(start) <= _PROMPT_CHARACTERS:
        return start.rpartition(" ")[0] or start
    return start[: _PROMPT_CHARACTERS + 1].rpartition(" ")[0] or start[:_PROMPT_CHARACTERS]


def _ask(turns: tuple[Turn, ...], system: str = "") -> Any:
    """The turns as messages to ask; None when they hold tool calls."""
    if any(turn.role in ("function_call", "observation") for turn in turns):
        return None
    first = [{"role": "system", "content": system}] if system else []
    return first + [turn.openai() for turn in turns]


def _answered(
    row: Mapping[str, Any], columns: Columns, column: str
) -> tuple[Conversation, dict[str, Any], str]:
    """A conversation that ends in an answer, its canonical row, and the system text."""
    found = read_conversation(row.get(columns[column]), columns[column])
    if not found.answers:
        raise RowProblem(
            f"`{columns[column]}` ends in a `{found.turns[-1].role}` turn",
            "the last turn must be the assistant's: it is what is learned",
        )
    return found, *_canonical(row, columns, column, found)


def _canonical(
    row: Mapping[str, Any], columns: Columns, column: str, found: Conversation
) -> tuple[dict[str, Any], str]:
    write = Turn.openai if column == "messages" else Turn.sharegpt
    made: dict[str, Any] = {column: [write(turn) for turn in found.turns]}
    for name in ("system", "tools"):
        if name in columns:
            made[name] = _optional(row, columns, name)
    return made, "" if found.turns[0].role == "system" else str(made.get("system", ""))


def _native(column: str) -> tuple[str, str]:
    return OPENAI if column == "messages" else SHAREGPT


def _chat(row: Mapping[str, Any], columns: Columns) -> Sample:
    column = "messages" if "messages" in columns else "conversations"
    found, made, system = _answered(row, columns, column)
    return Sample(
        made,
        _ask(found.turns[:-1], system),
        plain=found.style == _native(column),
        empty=not found.turns[-1].content.strip(),
    )


def _instruction(row: Mapping[str, Any], columns: Columns, column: str) -> tuple[Any, Any]:
    """The canonical columns and the messages of a prompt in single columns."""
    asked = _string(row, columns, column)
    made: dict[str, Any] = {column: asked}
    turns: list[Turn] = []
    if "history" in columns:
        made["history"] = _history(row.get(columns["history"]), columns["history"])
        for question, answer in made["history"]:
            turns += [Turn("user", question), Turn("assistant", answer)]
    for name in ("input", "system"):
        if name in columns:
            made[name] = _optional(row, columns, name)
    # The engine joins the two with a line break, and so does the prompt that is measured.
    parts = [part for part in (asked, made.get("input", "")) if part]
    if not parts:
        raise RowProblem(f"`{columns[column]}` is empty", "expected a question or an instruction")
    turns.append(Turn("user", "\n".join(parts)))
    return made, _ask(tuple(turns), made.get("system", ""))


def _history(value: Any, name: str) -> list[list[str]]:
    pairs = [] if value is None else value
    if not isinstance(pairs, list) or not all(_is_exchange(pair) for pair in pairs):
        raise RowProblem(f"`{name}` is malformed", "expected a list of [question, answer]")
    return list(pairs)


def _is_exchange(pair: Any) -> bool:
    good = isinstance(pair, list) and len(pair) == 2
    return good and all(isinstance(part, str) for part in pair)


def _alpaca(row: Mapping[str, Any], columns: Columns) -> Sample:
    made, prompt = _instruction(row, columns, "instruction")
    made["output"] = _string(row, columns, "output")
    return Sample(made, prompt, empty=not made["output"].strip())


def _preference(row: Mapping[str, Any], columns: Columns) -> Sample:
    chosen, rejected = row.get(columns["chosen"]), row.get(columns["rejected"])
    if isinstance(chosen, list) or isinstance(rejected, list):
        return _message_lists(row, columns)
    column = next((name for name in ("messages", "conversations") if name in columns), None)
    if column is not None:
        return _pair_in_conversation(row, columns, column)
    if "prompt" not in columns:
        raise RowProblem(
            "there is no prompt", "expected `prompt`, `question`, `instruction` or `messages`"
        )
    made, prompt = _instruction(row, columns, "prompt")
    made["chosen"] = _string(row, columns, "chosen")
    made["rejected"] = _string(row, columns, "rejected")
    return _pair(made, prompt, made["chosen"], made["rejected"], plain=True)


def _pair(made: dict[str, Any], prompt: Any, chosen: str, rejected: str, *, plain: bool) -> Sample:
    empty = not (chosen.strip() or rejected.strip())
    return Sample(made, prompt, plain=plain, empty=empty, same=chosen == rejected)


def _pair_in_conversation(row: Mapping[str, Any], columns: Columns, column: str) -> Sample:
    found = read_conversation(row.get(columns[column]), columns[column])
    _must_ask(found, columns[column])
    made, system = _canonical(row, columns, column, found)
    plain = found.style == _native(column)
    texts = []
    for name in ("chosen", "rejected"):
        turn, style = _answer(row.get(columns[name]), columns[name])
        plain = plain and style == _native(column)
        made[name] = turn.openai() if column == "messages" else turn.sharegpt()
        texts.append(turn.content)
    return _pair(made, _ask(found.turns, system), texts[0], texts[1], plain=plain)


def _must_ask(found: Conversation, name: str) -> None:
    if not found.asks:
        raise RowProblem(
            f"`{name}` ends in a `{found.turns[-1].role}` turn",
            "expected it to end in the user's turn, which both answers follow",
        )


def _answer(value: Any, name: str) -> tuple[Turn, tuple[str, str] | None]:
    """An answer given as text, or as a turn of the assistant's."""
    if isinstance(value, str):
        return Turn("assistant", value), None
    turn, style = read_turn(value, name)
    if turn.role not in ("assistant", "function_call"):
        raise RowProblem(f"`{name}` is from `{turn.role}`", "expected the assistant's answer")
    return turn, style


def _message_lists(row: Mapping[str, Any], columns: Columns) -> Sample:
    """Answers as lists of messages: with the prompt in both, or with a prompt of their own."""
    names = (columns["chosen"], columns["rejected"])
    lists = [row.get(name) for name in names]
    if not all(isinstance(item, list) and item for item in lists):
        raise RowProblem(
            f"`{names[0]}` is {kind(lists[0])} and `{names[1]}` is {kind(lists[1])}",
            "expected both to be lists of messages, or both text",
        )
    prompt = _listed_prompt(row, columns) if len(lists[0] or ()) == 1 else []
    chosen, rejected = (
        read_conversation([*prompt, *(item or ())], name)
        for item, name in zip(lists, names, strict=True)
    )
    if chosen.turns[:-1] != rejected.turns[:-1]:
        raise RowProblem(
            f"`{names[0]}` and `{names[1]}` differ before their last turn",
            "both must answer the same conversation",
        )
    if not (chosen.answers and rejected.answers):
        raise RowProblem(f"`{names[0]}` does not end in an answer", "expected the assistant's turn")
    asked = chosen.turns[:-1]
    made = {
        "messages": [turn.openai() for turn in asked],
        "chosen": chosen.turns[-1].openai(),
        "rejected": rejected.turns[-1].openai(),
    }
    texts = chosen.turns[-1].content, rejected.turns[-1].content
    return _pair(made, _ask(asked), *texts, plain=False)


def _listed_prompt(row: Mapping[str, Any], columns: Columns) -> list[Any]:
    name = columns.get("prompt") or columns.get("messages") or columns.get("conversations")
    value = row.get(name) if name else None
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, list):
        return value
    raise RowProblem("there is no prompt", "expected `prompt` or `messages` beside the answers")


def _kto(row: Mapping[str, Any], columns: Columns) -> Sample:
    label = row.get(columns["label"])
    plain = isinstance(label, bool)
    if isinstance(label, str) and label.lower() in ("true", "false"):
        label = label.lower() == "true"
    if not isinstance(label, bool):
        raise RowProblem(f"`{columns['label']}` is {kind(label)}", "expected true or false")
    column = next((name for name in ("messages", "conversations") if name in columns), None)
    if column is not None:
        found, made, system = _answered(row, columns, column)
        prompt, answer = _ask(found.turns[:-1], system), found.turns[-1].content
        plain = plain and found.style == _native(column)
    else:
        made, prompt = _instruction(row, columns, "prompt")
        made["completion"] = answer = _string(row, columns, "completion")
    made["label"] = label
    if not answer:
        # The engine tells good from bad by which of two answers is not empty.
        raise RowProblem("the answer is empty", "expected text, also for a bad answer")
    return Sample(made, prompt, plain=plain)


_READERS: dict[Layout, Callable[[Mapping[str, Any], Columns], Sample]] = {
    "text": _text,
    "messages": _chat,
    "sharegpt": _chat,
    "alpaca": _alpaca,
    "preference": _preference,
    "kto": _kto,
}
