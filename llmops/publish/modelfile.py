"""What Ollama has to be told of a model: a Modelfile."""

from collections.abc import Iterator
from pathlib import Path

from llmops.data.tokens import ChatTokenizer
from llmops.publish.turns import Turns, turns_of
from llmops.registry.template import chat_template
from llmops.store.files import read_object

UNKNOWN_TEMPLATE = (
    "the chat template does more than Ollama's language is given here: TEMPLATE is left out, and "
    "Ollama takes one that it knows and finds alike; compare with `ollama show --template`"
)
_WINDOW = 4096
"""Tokens; Ollama's own default, which is written down where the model has no fewer."""
_SAMPLING = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "repetition_penalty": "repeat_penalty",
}
"""Keys of generation_config.json by Ollama's names."""


def modelfile(base: Path, source: str, adapter: str | None) -> tuple[str, str]:
    """Its text, and a warning or nothing. base: the full model's directory; source: what FROM
    names; adapter: what ADAPTER names."""
    lines = [f"FROM {source}", *([f"ADAPTER {adapter}"] if adapter else [])]
    turns, template = None, chat_template(base) or ""
    if (base / "tokenizer.json").is_file():
        tokenizer = ChatTokenizer(base)
        # A date would stand still.
        turns = turns_of(tokenizer) if "strftime_now" not in template else None
        if turns is not None:
            lines.append(f'TEMPLATE """{_start(turns, tokenizer)}{turns.go()}"""')
            lines += [f'SYSTEM """{turns.system}"""'] if turns.system else []
        stops = [turns.closing.strip() if turns else "", tokenizer.special.get("eos_token", "")]
        # What would end the quotes is left out: a tokenizer may say anything.
        kept = [one for one in dict.fromkeys(stops) if one and not {*one} & {'"', "\n", "\r"}]
        lines += [f'PARAMETER stop "{stop}"' for stop in kept]
    lines += [f"PARAMETER {name} {value}" for name, value in _parameters(base)]
    return "\n".join(lines) + "\n", UNKNOWN_TEMPLATE if template and turns is None else ""


def _start(turns: Turns, tokenizer: ChatTokenizer) -> str:
    """Ollama puts before a prompt what the tokenizer itself would."""
    bare, begun = tokenizer.ids("a"), tokenizer.ids(f"{turns.start}a")
    return turns.start if turns.start and len(begun) > len(bare) and bare[0] != begun[0] else ""


def _parameters(base: Path) -> Iterator[tuple[str, float]]:
    window = read_object(base / "config.json").get("max_position_embeddings")
    yield "num_ctx", min(window, _WINDOW) if isinstance(window, int) else _WINDOW
    generation = read_object(base / "generation_config.json")
    for key, name in _SAMPLING.items():
        if isinstance(value := generation.get(key), int | float):
            yield name, value
