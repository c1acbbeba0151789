"""Whether a model is made to answer: base or instruct, as far as its files and its name tell."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.errors import BadInput
from llmops.registry.manifest import Manifest
from llmops.registry.template import chat_template
from llmops.store.files import read_object

if TYPE_CHECKING:
    from llmops.registry.locate import Located

BASE, CHAT_BASE, INSTRUCT = "base", "base with a chat template", "instruct"
_STAGES = {"sft": INSTRUCT, "dpo": INSTRUCT, "kto": INSTRUCT, "rm": "reward model"}
_NAMED = ((r"instruct|chat|it", INSTRUCT), (r"base|pt", CHAT_BASE))
_PROBE = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}]


def tuning_of(manifest: Manifest, directory: Path) -> str | None:
    """Of a version, whose files lie in `directory`. None for an adapter from elsewhere, and for
    damaged files."""
    if manifest.stage in _STAGES:
        return _STAGES[manifest.stage]
    if manifest.kind == "adapter":
        return None
    try:
        if manifest.stage in ("base", "cpt"):
            return CHAT_BASE if chat_template(directory) else BASE
        return tuning(directory, manifest.lineage.imported_from or "")
    except BadInput:
        return None


def told(base: "Located") -> str:
    """What a plan says of a model that is trained; empty where nothing is known."""
    directory, manifest = base.files.directory, base.manifest
    what = tuning_of(manifest, directory) if manifest else tuning(directory, base.id)
    return f"{base.id}: {what}" if what else ""


def tuning(directory: Path, name: str = "") -> str:
    """Of the full model in `directory`. name: as others call it, for what it says.

    Without a chat template it is a base. With one its name decides, else whether generation ends
    where the template ends an answer: bases carry the template of their instruct model, too.
    """
    if chat_template(directory) is None:
        return BASE
    for words, kind in _NAMED:
        if re.search(rf"(?:^|[-_./])(?:{words})(?:$|[-_.@])", name, re.IGNORECASE):
            return kind
    return INSTRUCT if _ends_answers(directory) else CHAT_BASE


def _ends_answers(directory: Path) -> bool:
    """No, where its files are not as transformers writes them: it is told, and decides nothing."""
    from jinja2 import TemplateError

    from llmops.data.tokens import ChatTokenizer  # which brings the grammars of all declarations

    try:
        tokenizer = ChatTokenizer(directory)
        after = tokenizer.rendered(_PROBE, answering=False).partition("Good day.")[2].strip()
        return after.startswith(tuple(_ends(directory, tokenizer.special.get("eos_token", ""))))
    except (TemplateError, LookupError, ValueError, TypeError, AttributeError):
        return False


def _ends(directory: Path, own: str) -> list[str]:
    """The tokens at which generation ends, as texts; of a model that says none, the tokenizer's."""
    ids: Any = read_object(directory / "generation_config.json").get("eos_token_id")
    if ids is None:
        return [own] if own else []
    listed = {str(one) for one in (ids if isinstance(ids, list) else [ids])}
    config = read_object(directory / "tokenizer_config.json")
    names = {key: one["content"] for key, one in config.get("added_tokens_decoder", {}).items()}
    if (
        not listed <= names.keys()
    ):  # a large file, and newer versions of transformers write no other
        added = read_object(directory / "tokenizer.json").get("added_tokens", [])
        names |= {str(one["id"]): one["content"] for one in added}
    return [str(names[number]) for number in listed if number in names]
