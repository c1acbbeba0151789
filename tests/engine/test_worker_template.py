"""What training makes of a chat against what a server is sent, for a model that can think."""

import json
import subprocess
from pathlib import Path
from typing import Any

from llmops.engines.contract import Environment
from tests.engine.worker_run import ENV, WORKER

# Of Qwen3's own, what decides about thoughts.
TEMPLATE = """\
{%- for one in messages %}
    {{- '<|im_start|>' + one.role + '\\n' }}
    {%- if one.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
    {{- one.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
SCRIPT = """
import json, sys
from launcher import stand_in_for_torchaudio
stand_in_for_torchaudio()
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trained import different, encoder
words = Tokenizer(models.BPE({c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, []))
words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
words.decoder = decoders.ByteLevel()
marks = ["<|im_start|>", "<think>", "</think>"]
made = PreTrainedTokenizerFast(
    tokenizer_object=words, eos_token="<|im_end|>", additional_special_tokens=marks
)
made.chat_template = sys.argv[1]
made.save_pretrained("made")
chat = [{"role": "user", "content": "Hi"}]
told = []
for config in json.loads(sys.argv[2]):
    encode, tokenizer = encoder(config, "made")
    warning = different(config, "made", [chat], keeps_tokenizer=True)
    told.append([tokenizer.decode(encode(chat)), warning])
print(json.dumps(told))
"""


def made_of(
    configs: list[dict[str, Any]], engine: Environment, folder: Path
) -> list[tuple[str, str | None]]:
    """For each config what training makes of one question, and the warning."""
    argv = [str(engine.python), "-c", SCRIPT, TEMPLATE, json.dumps(configs)]
    env = {**ENV, "PYTHONPATH": str(WORKER)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [(text, warning) for text, warning in json.loads(done.stdout.splitlines()[-1])]


def test_a_model_that_is_told_not_to_think_needs_a_server_that_is_told_so(
    llamafactory: Environment, tmp_path: Path
) -> None:
    configs = [{}, {"enable_thinking": False}, {"template": "qwen"}]
    thinks, silent, wrong = made_of(configs, llamafactory, tmp_path)
    asked = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert thinks == (asked, None)
    assert silent == (asked + "<think>\n\n</think>\n\n", None)
    assert "leave `template` out" in str(wrong[1])
