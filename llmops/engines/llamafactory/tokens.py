"""What decides the tokens that the engine makes of a stage's data.

All options of the compiled config count, unless they are known not to matter: one that nobody has
thought of makes another key, and at worst the data is tokenized once more. `get_dataset` and
`load_tokenizer` (0.9.5: data/loader.py, model/loader.py) read data and model options, the seed and
the stage, and no other training or fine-tuning option.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from llmops.data import convert
from llmops.engines.contract import DataSet, Environment
from llmops.store.digest import sha256_file, sha256_tree

_FORMAT = 1
"""Raised when what is kept of the engine's data changes (worker/tokenized.py)."""
_PACKAGES = ("llamafactory", "transformers", "tokenizers", "datasets", "jinja2")
_WITHOUT = frozenset(
    # Places; what lies there is counted by its content.
    "model_name_or_path dataset_dir output_dir resume_from_checkpoint tokenized_path "
    # The model, and how it is adapted.
    "adapter_name_or_path adapter_folder create_new_adapter ref_model ref_model_adapters "
    "ref_model_quantization_bit finetuning_type lora_rank lora_alpha lora_dropout lora_target "
    "additional_target use_rslora use_dora loraplus_lr_ratio loraplus_lr_embedding pissa_init "
    "pissa_iter pissa_convert freeze_trainable_layers freeze_trainable_modules "
    "freeze_extra_modules quantization_bit quantization_method quantization_type "
    "double_quantization rope_scaling "
    # What is minimised, and how.
    "pref_loss pref_beta pref_ftx pref_bco_weight dpo_label_smoothing simpo_gamma ld_alpha "
    "kto_chosen_weight kto_rejected_weight label_smoothing_factor neftune_noise_alpha "
    "learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps warmup_ratio optim "
    "optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm max_steps "
    "num_train_epochs per_device_train_batch_size gradient_accumulation_steps data_seed "
    "disable_shuffling train_sampling_strategy "
    # On what.
    "use_cpu bf16 fp16 pure_bf16 tf32 flash_attn enable_liger_kernel use_liger_kernel "
    "torch_compile upcast_layernorm upcast_lmhead_output low_cpu_mem_usage deepspeed fsdp "
    "fsdp_config accelerator_config ddp_backend ddp_timeout ddp_find_unused_parameters "
    "gradient_checkpointing gradient_checkpointing_kwargs disable_gradient_checkpointing "
    "use_reentrant_gc dataloader_num_workers dataloader_pin_memory "
    # When it is evaluated, saved and told.
    "eval_strategy eval_steps eval_delay eval_on_start eval_accumulation_steps "
    "per_device_eval_batch_size compute_accuracy prediction_loss_only early_stopping_steps "
    "save_strategy save_steps save_total_limit save_only_model enable_jit_checkpoint "
    "load_best_model_at_end metric_for_best_model greater_is_better report_to logging_strategy "
    "logging_steps logging_first_step logging_nan_inf_filter disable_tqdm plot_loss log_level "
    "include_num_input_tokens_seen include_effective_tokens_per_second "
    # Whether the engine looks at its own cache, of which each attempt has one.
    "overwrite_cache".split()
)


def token_parts(
    options: Mapping[str, Any],
    entries: Mapping[str, Any],
    sets: Mapping[str, DataSet],
    environment: Environment,
) -> dict[str, Any] | None:
    """entries: of dataset_info.json; sets: the data by the same names. None for what has yet to be
    made, and where nothing is tokenized ahead."""
    if options.get("streaming") or not all(data.sha256 for data in sets.values()):
        return None
    data = {}
    for name, entry in entries.items():
        one = sets[name]
        # Whoever reads a file goes by its suffix; the entry has the columns of a copy.
        read = [one.sha256, one.path.suffix, one.layout, one.columns]
        data[name] = {**entry, "file_name": [*read, _converter() if one.convert else ""]}
    return {
        "format": _FORMAT,
        "engine": [environment.engine, environment.version, *_versions(environment.site)],
        "options": {name: _value(name, options[name]) for name in options.keys() - _WITHOUT},
        "data": data,
    }


def _value(name: str, value: Any) -> Any:
    """A file by its content, wherever it lies."""
    file = Path(value) if name == "new_special_tokens_config" and isinstance(value, str) else None
    return sha256_file(file) if file is not None and file.is_file() else value


@cache
def _converter() -> str:
    """What converts, by its own text: another version of llmops may convert otherwise."""
    folder = Path(convert.__file__).parent
    names = ("convert.py", "conversation.py", "rows.py", "samples.py")
    return sha256_tree({name: sha256_file(folder / name) for name in names})


def _versions(site: Path) -> list[str]:
    """Of what makes tokens, in an environment of the user's own too."""
    try:
        return _versions_at(site, site.stat().st_mtime_ns)
    except FileNotFoundError:
        return []


@cache
def _versions_at(site: Path, _changed: int) -> list[str]:
    names = (path.name for path in site.glob("*.dist-info"))
    return sorted(name for name in names if name.partition("-")[0] in _PACKAGES)
