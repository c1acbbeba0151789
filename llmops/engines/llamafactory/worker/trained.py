"""The tokens that training makes of a chat, by the engine's own template code.

Imported by launcher.py, in the engine's environment. A server renders a chat with the chat template
of the base; where a recipe names one of the engine's templates the two may differ, and every answer
would begin from a prompt that training never saw.
"""

from collections.abc import Mapping
from typing import Any

from golden import Encode

# Of the engine's data options, those that change what a template writes.
_OPTIONS = ("template", "default_system", "enable_thinking", "preserve_thinking", "tool_format")
CHAT_STAGES = ("sft", "dpo", "kto", "rm")


def encoder(config: Mapping[str, Any], directory: str) -> tuple[Encode, Any]:
    """What training makes of messages up to the answer, for the tokenizer in `directory`; and that
    tokenizer as the engine leaves it (it gives some templates to tokenizers that have none)."""
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    given = {name: config[name] for name in _OPTIONS if name in config}
    template = get_template_and_fix_tokenizer(tokenizer, DataArguments(**given))

    def encode(messages: list[dict[str, str]]) -> list[int]:
        system = messages[0]["content"] if messages[0]["role"] == "system" else None
        turns = [dict(turn) for turn in messages if turn["role"] != "system"]
        answer = {"role": "assistant", "content": ""}
        prompt, _ = template.encode_oneturn(tokenizer, [*turns, answer], system)
        return list(prompt)

    return encode, tokenizer


def different(
    config: Mapping[str, Any], directory: str, prompts: list[Any], *, keeps_tokenizer: bool
) -> str | None:
    """A warning when training makes other tokens of the prompts than a server will.

    keeps_tokenizer: the base's own tokenizer is served (an adapter), not the one that the engine
    saves beside the model.
    """
    from transformers import AutoTokenizer

    encode, fixed = encoder(config, directory)
    # A server that is to answer without thinking has to be told so too (docs/recipes.md).
    told = {name: config[name] for name in ("enable_thinking",) if name in config}
    own = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    served = own if keeps_tokenizer else fixed
    if not served.chat_template:
        return None
    for messages in prompts:
        if isinstance(messages, str):
            continue
        rendered = served.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **told
        )
        sent = served(rendered, add_special_tokens=False)["input_ids"]
        trained = encode(messages)
        if list(sent) != trained:
            named, fix = _named(config.get("template"))
            return (
                f"{named} trains on other tokens ({len(trained)} for the first prompt) than a "
                f"server sends ({len(sent)}): no server will take the version; {fix}"
            )
    return None


def _named(template: str | None) -> tuple[str, str]:
    if template is None:
        return "the engine's reading of the base's chat template", "name its own under `template:`"
    return f"`template: {template}`", "leave `template` out"
