"""What is registered of an engine's output: a whitelist of files, copied into a directory.

Imported by launcher.py. Copies, never links: the output is the engine's to change. Optimizer
states, logs, pickles and code are left behind; a reward model's value head is kept.
"""

import os
import re
import shutil

from concatenate import CONFIG, WEIGHTS, concatenate

_FULL = re.compile(
    r"(config|generation_config)\.json"
    r"|[^/]+\.safetensors(\.index\.json)?"
    r"|tokenizer(_config)?\.json|tokenizer\.model|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.json|vocab\.txt|merges\.txt|spiece\.model|sentencepiece\.bpe\.model"
    r"|chat_template\.(jinja|json)"
    r"|(pre)?processor_config\.json|video_preprocessor_config\.json"
)
_ADAPTER = re.compile(rf"{re.escape(CONFIG)}|{re.escape(WEIGHTS)}|value_head\.safetensors")


class Incomplete(Exception):
    """The output lacks what a model or an adapter consists of."""


def is_adapter(output: str) -> bool:
    return os.path.isfile(os.path.join(output, CONFIG))


def make_result(output: str, result: str, previous: str | None) -> None:
    """Fill `result` from `output`; with `previous`, the new adapter is put on top of that one.

    Raises Incomplete, and concatenate.Refused.
    """
    os.makedirs(result, exist_ok=True)
    adapter = is_adapter(output)
    allowed = _ADAPTER if adapter else _FULL
    names = [name for name in sorted(os.listdir(output)) if allowed.fullmatch(name)]
    weights = WEIGHTS if adapter else ".safetensors"
    if not any(name.endswith(weights) for name in names):
        raise Incomplete(f"the engine left no weights as safetensors in {output}")
    for name in names:
        # A copy with this process's own permissions: safetensors writes 0600.
        shutil.copyfile(os.path.join(output, name), os.path.join(result, name))
    if previous is None:
        return
    if not adapter:
        raise Incomplete(f"an adapter is to be concatenated, and {output} holds none")
    rank = concatenate(previous, output, result)
    print(f"concatenated with the adapter it was trained on: rank {rank}", flush=True)
