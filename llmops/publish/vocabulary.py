"""A byte-level BPE tokenizer as GGUF keeps it: tokens with their kinds, merges, special tokens.

llama.cpp knows the rule by which a text is split before merging by a name only. It is told by the
rule itself, so that tokenizers trained here are known too; llama.cpp's own converter asks for the
tokens of a fixed text, which only well-known vocabularies give.
"""

from pathlib import Path
from typing import Any

from llmops.data.tokens import ChatTokenizer
from llmops.errors import BadInput
from llmops.registry.files import read_json
from llmops.spec.source import display

_GPT2 = "gpt-2"
_RULE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {
    _RULE.replace("NUMBER", r"\p{N}"): "qwen2",
    _RULE.replace("NUMBER", r"\p{N}{1,3}"): "llama-bpe",
}
"""llama.cpp's names for the rules, as tokenizer.json has them."""


def add_vocabulary(writer: Any, directory: Path, size: int) -> None:
    """Put the tokenizer and the chat template in `directory` into a GGUF file. size: rows of the
    model's embeddings.

    Raises BadInput for a tokenizer of another kind.
    """
    from gguf import SpecialVocab

    place = directory / "tokenizer.json"
    if not place.is_file():
        raise _unknown(place, "there is none of this format")
    tokenizer = read_json(place)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split(tokenizer, place))
    tokens, kinds = _tokens(tokenizer, size, place)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    special = SpecialVocab(directory, load_merges=True, n_vocab=size)
    ids = ChatTokenizer(directory).ids("a")
    known = special.special_token_ids
    special.add_special_token = {
        "bos": ids[0] == known.get("bos"),
        "eos": ids[-1] == known.get("eos"),
    }
    special.add_to_gguf(writer, quiet=True)


def _split(tokenizer: dict[str, Any], place: Path) -> str:
    if tokenizer.get("model", {}).get("type") != "BPE":
        raise _unknown(place, "not byte-level BPE")
    rule = tokenizer.get("pre_tokenizer") or {}
    steps = rule.get("pretokenizers", [rule])
    bytewise = steps[-1].get("type") == "ByteLevel" and not steps[-1].get("add_prefix_space")
    if bytewise and len(steps) == 1 and steps[0].get("use_regex", True):
        return _GPT2
    if bytewise and len(steps) == 2 and steps[0].get("type") == "Split":
        found = _SPLITS.get(steps[0].get("pattern", {}).get("Regex", ""))
        if found is not None:
            return found
    raise _unknown(place, "its texts are split by another rule than those of GPT-2, Llama 3, Qwen2")


def _tokens(tokenizer: dict[str, Any], size: int, place: Path) -> tuple[list[str], list[int]]:
    """By id, as many as the model has; those without a token are unused."""
    from gguf import TokenType

    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [int(TokenType.UNUSED)] * size
    added = {one["content"]: one for one in tokenizer.get("added_tokens", [])}
    known = {**tokenizer["model"]["vocab"], **{text: one["id"] for text, one in added.items()}}
    if max(known.values()) >= size:
        raise _unknown(place, f"it has more tokens than the model, {size}")
    for text, number in known.items():
        tokens[number], kinds[number] = text, int(TokenType.NORMAL)
        if text in added:
            control = added[text]["special"] or (text.startswith("<|") and text.endswith("|>"))
            kinds[number] = int(TokenType.CONTROL if control else TokenType.USER_DEFINED)
    return tokens, kinds


def _unknown(place: Path, why: str) -> BadInput:
    return BadInput(
        f"this tokenizer cannot be written as GGUF here: {why}",
        where=display(place),
        fix="llama.cpp's `convert_hf_to_gguf.py` knows more; give it what `--format safetensors` "
        "writes",
    )
