"""The shipped recipes for Qwen3, planned and compiled for a machine with a GPU against the options
of the installed engines. The models have Qwen3's shapes in files without content.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops.engines.contract import Environment
from llmops.errors import BadInput
from llmops.runner.plan import make_plan
from llmops.runner.stage import Context
from llmops.serving.plan import check_args
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.stages.fit import proposals
from llmops.starter import copy_starter
from tests.fast.models_on_disk import COMMIT, write_cached

STAGES = ("cpt", "sft", "dpo", "kto")
SMALL, LARGE = "hub:Qwen/Qwen3-4B-Instruct-2507", "hub:Qwen/Qwen3-8B"
QLORA = "args.quantization_bit=4"
LAYERS, HEAD = 36, 128


def shapes(hidden: int, inner: int, *, tied: bool) -> dict[str, list[int]]:
    """Of Qwen3's tensors: 32 heads, 8 of them with keys and values."""
    found = {"model.embed_tokens.weight": [151936, hidden], "model.norm.weight": [hidden]}
    for layer in range(LAYERS):
        for name, shape in {
            "self_attn.q_proj": [32 * HEAD, hidden],
            "self_attn.k_proj": [8 * HEAD, hidden],
            "self_attn.v_proj": [8 * HEAD, hidden],
            "self_attn.o_proj": [hidden, 32 * HEAD],
            "self_attn.q_norm": [HEAD],
            "self_attn.k_norm": [HEAD],
            "mlp.gate_proj": [inner, hidden],
            "mlp.up_proj": [inner, hidden],
            "mlp.down_proj": [hidden, inner],
            "input_layernorm": [hidden],
            "post_attention_layernorm": [hidden],
        }.items():
            found[f"model.layers.{layer}.{name}.weight"] = shape
    return found if tied else {**found, "lm_head.weight": [151936, hidden]}


def write_empty(path: Path, tensors: dict[str, list[int]]) -> None:
    """A safetensors file in bfloat16 whose content is a hole."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        rows, columns = shape if len(shape) == 2 else (shape[0], 1)
        start, end = end, end + rows * columns * 2
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def download(hub: Path, name: str, hidden: int, inner: int, *, tied: bool, window: int) -> None:
    """The cache as a download of that model leaves it, with empty weights."""
    folder = hub / "source" / name
    folder.mkdir(parents=True)
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": HEAD,
        "max_position_embeddings": window,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "vocab_size": 151936,
    }
    (folder / "config.json").write_text(json.dumps(config))
    words = {"model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}
    (folder / "tokenizer.json").write_text(json.dumps(words))
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    snapshot = write_cached(hub, name, folder)
    blob = snapshot.parent.parent / "blobs" / f"{hidden:064x}"
    write_empty(blob, shapes(hidden, inner, tied=tied))
    (snapshot / "model.safetensors").symlink_to(blob)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, llamafactory: Environment) -> Iterator[Path]:
    """A project as `llmops init` makes it, beside a cache that holds both models."""
    root, hub = tmp_path_factory.mktemp("qwen3"), tmp_path_factory.mktemp("hub")
    copy_starter(root)
    download(hub, SMALL.removeprefix("hub:"), 2560, 9728, tied=True, window=262144)
    download(hub, LARGE.removeprefix("hub:"), 4096, 12288, tied=False, window=40960)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(hub))
        patch.chdir(root)
        yield root


def compiled(project: Path, target: str, *overrides: str, gpus: int = 1) -> dict[str, Any]:
    """The engine's config of each training stage, by stage."""
    context = Context(load_settings(project), gpus)
    plan = make_plan(project / target, overrides, context=context, kinds=KINDS)
    commands = {stage.node.name: stage.prepared.command for stage in plan.stages}
    return {
        name: yaml.safe_load(command.files["config.yaml"])
        for name, command in commands.items()
        if command is not None
    }


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("base", [SMALL, LARGE])
@pytest.mark.parametrize("method", [(), (QLORA,)])
def test_each_recipe_compiles_for_each_base_and_method(
    project: Path, stage: str, base: str, method: tuple[str, ...]
) -> None:
    found = compiled(project, f"recipes/qwen3/{stage}.yaml", f"base={base}", *method)[stage]
    assert found["model_name_or_path"].endswith(f"snapshots/{COMMIT}")
    assert found.get("quantization_bit") == (4 if method else None)
    assert found["stage"] == {"cpt": "pt"}.get(stage, stage)
    assert found.get("neat_packing", False) is (stage == "sft")
    assert {"use_cpu", "template", "ref_model"}.isdisjoint(found)


def test_lora_stages_are_stacked_without_a_second_model(project: Path) -> None:
    found = compiled(project, "pipelines/qwen3/4b.yaml")
    assert list(found) == ["cpt", "sft", "dpo"]
    assert "adapter_name_or_path" not in found["cpt"]
    for stage in ("sft", "dpo"):
        assert found[stage]["create_new_adapter"] is True
        assert "ref_model" not in found[stage]


def test_qlora_stages_go_on_with_one_adapter_and_a_reference(project: Path) -> None:
    found = compiled(project, "pipelines/qwen3/8b.yaml")
    for stage in ("sft", "dpo"):
        assert found[stage]["adapter_name_or_path"]
        assert "create_new_adapter" not in found[stage]
        assert found[stage]["enable_thinking"] is False
    assert "ref_model" not in found["sft"]
    assert found["dpo"]["ref_model_adapters"] == found["dpo"]["adapter_name_or_path"]
    assert found["dpo"]["ref_model_quantization_bit"] == 4


@pytest.mark.parametrize("name", ["4b", "8b"])
def test_each_pipeline_fits_a_card_of_24_gb_with_a_tenth_to_spare(project: Path, name: str) -> None:
    context = Context(load_settings(project), 1, int(0.9 * 24 * 2**30))
    plan = make_plan(project / f"pipelines/qwen3/{name}.yaml", [], context=context, kinds=KINDS)
    found = {one["stage"]: (one["problem"], one["overrides"]) for one in proposals(plan)}
    assert found == {stage: ("", []) for stage in ("cpt", "sft", "dpo")}


def test_what_needs_a_gpu_is_refused_for_a_machine_without(project: Path) -> None:
    with pytest.raises(BadInput, match="quantized training needs a GPU"):
        compiled(project, "pipelines/qwen3/8b.yaml", gpus=0)


@pytest.mark.parametrize("name", ["town", "qwen3/4b", "qwen3/8b"])
def test_the_servers_options_are_those_of_vllm(project: Path, name: str, vllm: Environment) -> None:
    check_args(load_deployment(project / f"serving/{name}.yaml"), vllm)
