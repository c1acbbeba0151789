"""Golden prompts: what this environment makes of them, for every server to be compared with.

Run by path with the engine environment's Python: `PYTHON golden.py REQUESTS.json`, a list of
{"base": DIR, "adapter": DIR or null, "golden": [prompts], "golden_file": FILE, "dtype": NAME}.
A prompt is a list of messages or a text; with none, a few neutral ones are used. The file is a
JSON array of the entries that `llmops.registry.manifest.Golden` describes.

Text models only: for others (vision, audio) the array is empty and a line says so.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

Encode = Callable[[list[dict[str, str]]], list[int]]

COMPLETION = 16
"""Greedy tokens for each prompt, at most."""
PROMPT = 256
"""Longer chats are left out: a small server must be able to repeat each."""
TEXT = 200
"""Characters of a plain text that are used."""

NEUTRAL_CHATS: tuple[Any, ...] = (
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "Write one sentence about the sea."}],
)
NEUTRAL_TEXT = "The first thing to know about it is"


def write_golden(
    base: str,
    adapter: str | None,
    prompts: Sequence[Any],
    dtype: str,
    file: str,
    encode: Encode | None = None,
) -> None:
    """Compute the entries from the files in `base` (and `adapter`) and put them into `file`.

    encode: what training makes of a chat; the chat template of `base` is taken when left out.
    """
    begun = time.perf_counter()
    entries = golden(base, adapter, prompts, dtype, encode)
    write_json(file, entries)
    print(f"golden: {len(entries)} prompts in {time.perf_counter() - begun:.2f} s", flush=True)


def golden(
    base: str,
    adapter: str | None,
    prompts: Sequence[Any],
    dtype: str,
    encode: Encode | None = None,
) -> list[dict[str, Any]]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(base, local_files_only=True)
    if type(config) not in AutoModelForCausalLM._model_mapping:
        print(f"golden: none, since `{config.model_type}` is not a text model", flush=True)
        return []
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=getattr(torch, dtype),
        local_files_only=True,
        use_safetensors=True,
        device_map="auto" if torch.cuda.is_available() else None,
    )
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    stops = stop_ids(model, tokenizer)
    window = getattr(config, "max_position_embeddings", None)
    entries = prepare(tokenizer, prompts, window, encode)
    with torch.inference_mode():
        for entry in entries:
            entry["completion_ids"] = complete(model, entry["prompt_ids"], stops)
            ids = entry["prompt_ids"] + entry["completion_ids"]
            entry["logprobs"] = logprobs(model, ids)
            if adapter is not None:
                with model.disable_adapter():
                    entry["base_logprobs"] = logprobs(model, ids)
    return entries


def prepare(
    tokenizer: Any,
    prompts: Sequence[Any],
    window: int | None = None,
    encode: Encode | None = None,
) -> list[dict[str, Any]]:
    """The prompts with their tokens; neutral ones when none is given or none is short enough."""
    limit = PROMPT if window is None else max(1, min(PROMPT, window - COMPLETION))
    neutral = [*(NEUTRAL_CHATS if tokenizer.chat_template else ()), NEUTRAL_TEXT]
    for candidates in (prompts, neutral):
        entries = [tokenized(tokenizer, prompt, encode) for prompt in candidates]
        fitting = [entry for entry in entries if 0 < len(entry["prompt_ids"]) <= limit]
        if fitting:
            return fitting
    return []


def tokenized(tokenizer: Any, prompt: Any, encode: Encode | None = None) -> dict[str, Any]:
    """One prompt with its tokens: those of training, which vLLM's `/tokenize` must give too.

    A chat template writes its own special tokens, so none are added to a rendered chat; a text
    gets those that the tokenizer adds (a BOS, if it has one).
    """
    if not isinstance(prompt, str) and tokenizer.chat_template:
        messages = [{"role": turn["role"], "content": turn["content"]} for turn in prompt]
        if encode is not None:
            return {"messages": messages, "prompt_ids": encode(messages)}
        rendered = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
        return {"messages": messages, "prompt_ids": list(ids)}
    text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    text = text[:TEXT]
    return {"text": text, "prompt_ids": list(tokenizer(text)["input_ids"])}


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """The tokens after which a server stops too."""
    declared = model.generation_config.eos_token_id
    listed = declared if isinstance(declared, list) else [declared]
    return {token for token in [*listed, tokenizer.eos_token_id] if token is not None}


def complete(model: Any, prompt: list[int], stops: set[int]) -> list[int]:
    """The greedy continuation; a stop token is its last.

    Not `generate`: a repetition penalty or a temperature in generation_config would bend it.
    """
    import torch

    ids = torch.tensor([prompt], device=model.device)
    past: Any = None
    chosen: list[int] = []
    while len(chosen) < COMPLETION:
        out = model(input_ids=ids, past_key_values=past, use_cache=True)
        past = out.past_key_values
        token = int(out.logits[0, -1].float().argmax())
        chosen.append(token)
        if token in stops:
            break
        ids = torch.tensor([[token]], device=model.device)
    return chosen


def logprobs(model: Any, ids: list[int]) -> list[float]:
    """Natural logarithms, in float32, of tokens 2.. given those before them."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    logits = model(input_ids=tokens, use_cache=False).logits[0, :-1].float()
    following = tokens[0, 1:, None].to(logits.device)
    chosen = logits.gather(-1, following)[:, 0] - logits.logsumexp(-1)
    return [float(value) for value in chosen]


def write_json(file: str, value: Any) -> None:
    """Replace `file`: the old content or the new, never half of it."""
    folder = os.path.dirname(os.path.abspath(file))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".golden.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        requests = json.load(file)
    for request in requests:
        write_golden(
            request["base"],
            request.get("adapter"),
            request.get("golden") or [],
            request["dtype"],
            request["golden_file"],
        )


if __name__ == "__main__":
    main()
