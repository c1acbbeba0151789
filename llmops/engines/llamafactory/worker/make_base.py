"""A base model from scratch: a byte-level BPE tokenizer, and random weights from a seed.

Run by path with the engine environment's Python: `PYTHON make_base.py base.json`. The same
base.json and texts give the same bytes, with the same versions of torch, transformers and
tokenizers. The config's vocab_size is the number of tokens there are: fewer than asked for when
the texts hold too few pairs to merge, and never padded.
"""

import json
import os
import sys
from typing import Any

from golden import write_golden
from phases import Phases, leave
from texts import read_texts

# ChatML. The base owns the template, so it must add nothing of its own, such as a system prompt.
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class BadTokenizer(Exception):
    """Tokenizer settings that contradict each other. The text names the key."""


def main() -> None:
    # Read when tokenizers is first imported; counting in parallel could change the order of ties.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from architecture import BadArchitecture

    with open(sys.argv[1], encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    phases = Phases(request.get("phases"))
    phases.enter("starting")
    try:
        make_base(request, phases)
    except (BadArchitecture, BadTokenizer) as error:
        sys.exit(f"error: {error}")
    phases.enter("checking")
    write_golden(
        request["result"], None, request["golden"], request["dtype"], request["golden_file"]
    )
    phases.enter("done")
    leave()


def make_base(request: dict[str, Any], phases: Phases) -> None:
    """Write the model and its tokenizer to request["result"]."""
    from architecture import make_config, make_model

    check_tokens(request)
    # Once without a vocabulary, so that a mistake shows before the tokenizer is trained.
    draft = make_config(request["architecture"])
    phases.enter("training")
    tokenizer = make_tokenizer(request, getattr(draft, "max_position_embeddings", None))
    config = make_config(
        request["architecture"],
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = make_model(config, request["seed"], request["dtype"])
    model.generation_config.bos_token_id = None
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    phases.enter("saving")
    result = request["result"]
    tokenizer.save_pretrained(result)
    model.save_pretrained(result)
    for name in os.listdir(result):
        os.chmod(os.path.join(result, name), 0o644)  # safetensors writes 0600
    print(f"base: {model.num_parameters()} parameters, {len(tokenizer)} tokens", flush=True)


def check_tokens(request: dict[str, Any]) -> None:
    special = request["special_tokens"]
    for key in ("eos_token", "pad_token"):
        if request[key] not in special:
            raise BadTokenizer(f"tokenizer.{key}: `{request[key]}` is not in special_tokens")
    smallest = 256 + len(special)
    if request["vocab_size"] < smallest:
        raise BadTokenizer(
            f"tokenizer.vocab_size: {request['vocab_size']} is less than 256 bytes and "
            f"{len(special)} special tokens ({smallest})"
        )


def make_tokenizer(request: dict[str, Any], window: int | None) -> Any:
    """Train the tokenizer on the texts. window: tokens that the model can see at once."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if request["architecture"]["model_type"] == "qwen2":
        split_as_qwen2(tokenizer)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=request["vocab_size"],
        special_tokens=request["special_tokens"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(read_texts(request["texts"]), trainer)
    limits = {} if window is None else {"model_max_length": window}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=request["eos_token"],
        pad_token=request["pad_token"],
        # Bytes are never unknown, but a server's class may add a token past the embeddings for it.
        unk_token=request["pad_token"],
        chat_template=request["chat_template"] or CHATML,
        clean_up_tokenization_spaces=False,
        padding_side="right",
        **limits,
    )


def split_as_qwen2(tokenizer: Any) -> None:
    """Newer transformers (5.19, as vLLM has it) reads every qwen2 model with Qwen2Tokenizer, which
    takes only vocabulary and merges from tokenizer.json: train with that class's own splitting."""
    from transformers import Qwen2Tokenizer

    theirs = Qwen2Tokenizer().backend_tokenizer
    tokenizer.normalizer = theirs.normalizer
    tokenizer.pre_tokenizer = theirs.pre_tokenizer


if __name__ == "__main__":
    main()
