"""The engine's options that a recipe does not set, and what to write instead.

llmops owns the model, the data, the output, resuming and reporting; the rest of the options pass
through under `args`.
"""

_BASE = "write `base:` in the recipe"
_DATA = "write `data.train:` in the recipe"
_VALIDATION = "write `data.validation:` in the recipe: a share, or files"
_OUTPUT = "each attempt has an output directory of its own"
_RESUME = "each attempt starts in a fresh directory"
_REPORTS = "metrics go to the attempt's log and to TensorBoard files beside it"
_CHAIN = "llmops decides how to train on an adapter; `base:` names the version to start from"
_REWARD = "PPO is not offered: it needs trl <= 0.9.6"
_EXPORT = "versions are copied from the output into the registry"
_SERVING = "serving belongs to a deployment (serving/*.yaml)"
_RAY = "use `resources.devices`; an executor places stages on a cluster"
_HUB = "publishing belongs to the registry"
_LAUNCH = "the launcher sets it"
_PREDICTS = "predictions belong to an evaluation"
_MEDIA = "llmops trains on text"

OWNED: dict[str, str] = {
    "model_name_or_path": _BASE,
    "model_revision": "write `base: hub:ORG/NAME@REV`",
    "adapter_name_or_path": _CHAIN,
    "adapter_folder": _CHAIN,
    "create_new_adapter": _CHAIN,
    "ref_model": _CHAIN,
    "ref_model_adapters": _CHAIN,
    "ref_model_quantization_bit": _CHAIN,
    "stage": "write `stage:` at the top of the recipe",
    "dataset": _DATA,
    "dataset_dir": _DATA,
    "eval_dataset": _VALIDATION,
    "val_size": _VALIDATION,
    "do_eval": _VALIDATION,
    "template": "write `template:` at the top of the recipe, or better leave it out",
    "tokenized_path": "tokenized data is kept and taken without it; `data.train:` is what counts",
    "overwrite_cache": "each attempt has a data cache of its own",
    "output_dir": _OUTPUT,
    "overwrite_output_dir": _OUTPUT,
    "logging_dir": _REPORTS,
    "report_to": _REPORTS,
    "run_name": _REPORTS,
    "project": _REPORTS,
    "resume_from_checkpoint": _RESUME,
    "do_train": "a train recipe always trains",
    **dict.fromkeys(
        (
            "do_predict",
            "do_sample",
            "eval_num_beams",
            "length_penalty",
            "max_length",
            "max_new_tokens",
            "num_beams",
            "predict_with_generate",
            "repetition_penalty",
            "skip_special_tokens",
            "temperature",
            "top_k",
            "top_p",
        ),
        _PREDICTS,
    ),
    **dict.fromkeys(
        ("audio_sampling_rate", "crop_to_patches", "media_dir", "use_audio_in_video"), _MEDIA
    ),
    "use_cpu": "it is set where there is no accelerator",
    "local_rank": _LAUNCH,
    "push_to_hub": _HUB,
    "hf_hub_token": "secrets come from the environment (HF_TOKEN)",
    "ms_hub_token": "secrets come from the environment",
    "om_hub_token": "secrets come from the environment",
    "hub_token": "secrets come from the environment (HF_TOKEN)",
    "swanlab_api_key": "secrets come from the environment (SWANLAB_API_KEY)",
    "swanlab_lark_secret": "secrets come from the environment",
    "infer_backend": _SERVING,
    "parallelism_config": "it is an object of Python, which no file can hold",
    "use_mca": "Megatron needs an environment that llmops does not build",
}

_OWNED_PREFIXES: tuple[tuple[str, str], ...] = (
    ("export_", _EXPORT),
    ("generation_", _PREDICTS),
    ("image_", _MEDIA),
    ("video_", _MEDIA),
    ("vllm_", _SERVING),
    ("sglang_", _SERVING),
    ("ray_", _RAY),
    ("master_", _LAUNCH),
    ("hub_", _HUB),
    ("trackio_", _REPORTS),
    ("reward_model", _REWARD),
    ("ppo_", _REWARD),
)

# Keys of no installed version that people bring from elsewhere.
ELSEWHERE: dict[str, str] = {
    "model": _BASE,
    "datasets": _DATA,
    "warmup_proportion": "write `warmup_steps:`; below 1 it is a share of all steps",
    "batch_size": "write `per_device_train_batch_size:`",
    "epochs": "write `num_train_epochs:`",
    "lr": "write `learning_rate:`",
    "lora_r": "write `lora_rank:`",
    "max_seq_length": "write `cutoff_len:`",
    "beta": "write `pref_beta:`",
    "evaluation_strategy": "write `eval_strategy:`",
    "use_ray": _RAY,
}


def instead(key: str) -> str | None:
    """What to do instead of setting `key`; None for a key that a recipe may set."""
    if key in OWNED:
        return OWNED[key]
    return next((fix for prefix, fix in _OWNED_PREFIXES if key.startswith(prefix)), None)
