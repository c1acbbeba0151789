"""How long samples are in tokens, counted without the engine: what a plan can say in a moment.

The base's own tokenizer and chat template are used, so a recipe that names one of the engine's
templates is counted roughly; `llmops data show` asks the engine itself. Rendering follows
transformers (utils/chat_template_utils.py): a sandbox, with `raise_exception` and `strftime_now`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from llmops.data.rows import RowProblem, read_rows, reading_of
from llmops.data.samples import read_sample
from llmops.engines.contract import DataSet
from llmops.registry.template import chat_template
from llmops.store.files import read_object
from llmops.store.memory import Memory

ROWS = 2000
"""Of a file, from its beginning: enough to say what is typical."""
_FORMAT = 1
_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class Lengths:
    """rows: that were counted; tokens: of all of them; longest; over: rows with more tokens than
    the cutoff."""

    rows: int
    tokens: int
    longest: int
    over: int


class TokenCounts:
    """Remembered counts. file: where; digest: of a file's content."""

    def __init__(self, file: Path, digest: Callable[[Path], str]) -> None:
        self._memory = Memory(file)
        self._digest = digest

    def count(self, data: DataSet, base: Path, cutoff: int) -> Lengths | None:
        """None where the base has no sound tokenizer.json, or no template that renders, and where
        the file is another by now."""
        if not (base / "tokenizer.json").is_file():
            return None
        made = [self._digest(base / name) for name in _FILES if (base / name).is_file()]
        key = json.dumps(
            [_FORMAT, data.sha256, data.layout, data.columns, data.limit, made, cutoff]
        )
        if (known := self._memory.get(key)) is None:
            from jinja2 import TemplateError

            try:
                counted = _count(data, ChatTokenizer(base), cutoff)
            except (TemplateError, RowProblem, ValueError, LookupError):
                return None
            self._memory.put(key, known := vars(counted))
        return Lengths(**known)

    def save(self) -> None:
        """Remember for the next process."""
        self._memory.save()


def _count(data: DataSet, tokenizer: "ChatTokenizer", cutoff: int) -> Lengths:
    rows = islice(read_rows(data.path, reading_of(data.path)), min(ROWS, data.limit or ROWS))
    prompts, answers = [], []
    for row in rows:
        sample = read_sample(data.layout, row.value, data.columns)
        if data.layout == "text" and sample.empty:
            continue  # is left out of training, too
        if data.layout == "text":
            prompts.append(sample.row["text"])
            answers.append([""])
        elif sample.prompt is not None:
            prompts.append(tokenizer.rendered(sample.prompt))
            answers.append(_answers(sample.row))
    before = tokenizer.lengths(prompts)
    after = iter(tokenizer.lengths([text for texts in answers for text in texts]))
    # One more: what ends an answer. Of two answers the longer one decides.
    lengths = [
        length + max(next(after) for _ in texts) + 1
        for length, texts in zip(before, answers, strict=True)
    ]
    over = sum(length > cutoff for length in lengths)
    return Lengths(len(lengths), sum(lengths), max(lengths, default=0), over)


def _answers(row: dict[str, Any]) -> list[str]:
    """What a row teaches to say, in each of its layouts."""
    for name in ("chosen", "output", "completion"):
        if name in row:
            both = [row[name], row["rejected"]] if name == "chosen" else [row[name]]
            return [_said(one) for one in both]
    return [_said(row["messages" if "messages" in row else "conversations"])]


def _said(value: Any) -> str:
    turn = value[-1] if isinstance(value, list) else value
    return str(turn.get("content", turn.get("value"))) if isinstance(turn, dict) else str(turn)


class ChatTokenizer:
    """The tokenizer and the chat template of a model's directory, each read when it is needed.

    Raises ValueError without a sound tokenizer.json.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ids(self, text: str) -> list[int]:
        """With the tokens that it adds of itself."""
        return list(self._tokenizer.encode(text).ids)

    def tokens(self, texts: list[str]) -> list[list[int]]:
        """Of each, without any."""
        return [one.ids for one in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def lengths(self, texts: list[str]) -> list[int]:
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(one) for one in found]

    def rendered(self, messages: list[dict[str, str]], *, answering: bool = True) -> str:
        """answering: up to where the answer begins. Raises LookupError without a template, and
        whatever the template raises."""
        values = {**self.special, "messages": messages, "add_generation_prompt": answering}
        return str(self._template.render(values))

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_file(str(self._directory / "tokenizer.json"))
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"not a tokenizer: {error}") from error

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_object(self._directory / "tokenizer_config.json")

    @cached_property
    def special(self) -> dict[str, str]:
        """The special tokens by their names, of which each is a text or an object that has it."""
        named = {k: v for k, v in self._config.items() if k.endswith("_token")}
        return {k: str(v["content"] if isinstance(v, dict) else v or "") for k, v in named.items()}

    @cached_property
    def _template(self) -> Any:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: str) -> None:
            raise TemplateError(message)

        if (text := chat_template(self._directory)) is None:
            raise LookupError("it has no chat template")
        around = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        around.globals["raise_exception"] = refuse
        around.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        around.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
        return around.from_string(text)
