"""Recipes that the engine would refuse late, or train as something else: what the plan says of
each, and what the real engine says of those that its own parser sees."""

from typing import Any, NamedTuple

EVAL = {"eval_strategy": "steps", "eval_steps": 10}
BEST = {**EVAL, "load_best_model_at_end": True}
ZERO2: dict[str, Any] = {"zero_optimization": {"stage": 2}}
ZERO3: dict[str, Any] = {"zero_optimization": {"stage": 3}}
SHARE = {"validation": 0.2}


class Broken(NamedTuple):
    """A good recipe of `stage` with `args`. says: words of the refusal; gpus: of the machine that
    is planned for; more: other keys of the recipe. real: words of the engine's parser, empty where
    it lets the recipe pass; late: words of its error thereafter, empty where it trains, but not
    what was asked for."""

    stage: str
    args: dict[str, Any]
    says: str
    gpus: int = 0
    more: dict[str, Any] = {}  # noqa: RUF012  never changed
    real: str = ""
    late: str = ""


BROKEN = (
    # Names, types and values.
    Broken("sft", {"learnin_rate": 0.1}, "did you mean `learning_rate`", real="not used by"),
    Broken("sft", {"lora_rank": "8"}, "without the quotes: 8", late="not supported between"),
    Broken("sft", {"lora_rank": 8.5}, "expected a whole number", late="must be tuple of ints"),
    Broken(
        "sft", {"learning_rate": "1e-4"}, "without the quotes: 0.0001", late="not supported between"
    ),
    Broken("sft", {"bf16": "yes"}, "expected true or false"),
    Broken("sft", {"flash_attn": "fa9"}, "`fa9` is not one of", late="Unknown attention"),
    Broken("sft", {"finetuning_type": "lorra"}, "did you mean `lora`", real="Invalid fine-tuning"),
    Broken("sft", {"lr_scheduler_type": "cosin"}, "did you mean `cosine`", real="not a valid"),
    Broken("sft", {"optim": "adam"}, "`adam` is not one of", real="not a valid"),
    Broken("sft", {"save_strategy": "never"}, "`never` is not one of", real="not a valid"),
    Broken("sft", {"logging_strategy": "always"}, "is not one of", real="not a valid"),
    Broken("sft", {"dataset": "town"}, "write `data.train:`"),
    Broken("sft", {}, "did you mean `qwen3`", more={"template": "qwen33"}),
    # Numbers out of range.
    Broken("sft", {"label_smoothing_factor": 1.0}, "below 1"),
    Broken(
        "sft",
        {"enable_torch_profiler": True, "profiler_active_steps": 0},
        "1 or more",
        late="AssertionError",
    ),
    Broken("sft", {"lora_rank": 0}, "1 or more", late="should be a positive"),
    Broken("sft", {"lora_alpha": 0}, "1 or more"),
    Broken("sft", {"lora_dropout": 1.5}, "below 1", late="dropout probability"),
    Broken("sft", {"learning_rate": -0.1}, "nothing is learned", late="Invalid learning rate"),
    Broken("sft", {"per_device_train_batch_size": 0}, "1 or more", late="positive integer"),
    Broken("sft", {"gradient_accumulation_steps": 0}, "1 or more", late="ZeroDivision"),
    Broken("sft", {"max_steps": 0}, "-1 for whole epochs"),
    Broken("sft", {"num_train_epochs": 0}, "above 0"),
    Broken("sft", {"warmup_steps": -1}, "0 or more", real="warmup_steps"),
    Broken("sft", {"torch_empty_cache_steps": 0}, "1 or more", real="torch_empty_cache_steps"),
    Broken("sft", {"seed": -1}, "0 to 4294967295", real="Seed must be"),
    Broken("sft", {"adam_beta2": 1.0}, "below 1", late="Invalid beta"),
    Broken("sft", {"cutoff_len": -5}, "1 or more", late="cannot reshape"),
    Broken("dpo", {"pref_beta": 0.0}, "nothing is learned"),
    Broken("dpo", {"dpo_label_smoothing": 0.5}, "below 0.5"),
    Broken("sft", {"logging_steps": 0}, "above 0", real="non-zero --logging_steps"),
    Broken("sft", {"save_steps": 2.5}, "neither a number", real="must be an integer"),
    Broken("sft", {**EVAL, "eval_steps": 1.5}, "neither", more=SHARE, real="must be an integer"),
    # Stages and losses.
    Broken("dpo", {"pref_loss": "ipo"}, "trains plain sigmoid"),
    Broken("dpo", {"pref_loss": "hinge"}, "trains plain sigmoid"),
    Broken(
        "dpo",
        {"pref_loss": "simpo", "dpo_label_smoothing": 0.1},
        "for the sigmoid loss",
        real="only valid for sigmoid",
    ),
    Broken("kto", {"pref_loss": "simpo"}, "for stage dpo only"),
    Broken("sft", {"pref_beta": 0.3}, "for stage dpo and kto only"),
    Broken("dpo", {"kto_chosen_weight": 2.0}, "for stage kto only"),
    Broken("dpo", {"packing": True}, "for stage cpt and sft only"),
    Broken("cpt", {"neat_packing": True}, "for stage sft only", real="except SFT"),
    Broken("dpo", {"mask_history": True}, "for stage sft only", real="except SFT"),
    Broken("kto", {"train_on_prompt": True}, "for stage sft only", real="except SFT"),
    Broken("cpt", {"use_dft_loss": True}, "for stage sft only"),
    Broken(
        "sft",
        {"use_dft_loss": True, "use_asft_loss": True},
        "exclude each other",
        late="not callable",
    ),
    Broken(
        "sft",
        {"mask_history": True, "train_on_prompt": True},
        "exclude each other",
        real="incompatible",
    ),
    Broken(
        "dpo",
        {"finetuning_type": "full", "add_tokens": "<a>"},
        "knows no new tokens",
        late="no attribute 'split'",
    ),
    Broken(
        "sft",
        {"finetuning_type": "full", "use_asft_loss": True, "add_tokens": "<a>"},
        "knows no new tokens",
        late="no attribute 'split'",
    ),
    Broken("sft", {"use_asft_loss": True}, "loads none for LoRA", late="not callable"),
    # Methods and optimizers.
    Broken("sft", {"use_galore": True}, "does not go with LoRA", real="Cannot use LoRA with"),
    Broken("sft", {"use_badam": True}, "does not go with LoRA", real="Cannot use LoRA with"),
    Broken(
        "sft",
        {"finetuning_type": "full", "use_galore": True, "use_apollo": True},
        "exclude each other",
        real="Cannot use GaLore",
    ),
    Broken("sft", {"finetuning_type": "full", "use_dora": True}, "LoRA only", real="only valid"),
    Broken("sft", {"finetuning_type": "full", "use_rslora": True}, "LoRA only", real="only valid"),
    Broken(
        "sft",
        {"finetuning_type": "freeze", "loraplus_lr_ratio": 4.0},
        "LoRA only",
        real="only valid",
    ),
    Broken(
        "sft",
        {"finetuning_type": "full", "use_llama_pro": True},
        "the new blocks only",
        real="only valid",
    ),
    Broken(
        "sft",
        {"finetuning_type": "full", "use_galore": True, "optim": "sgd"},
        "not implemented for `optim: sgd`",
    ),
    Broken(
        "sft",
        {"finetuning_type": "freeze", "freeze_trainable_layers": 0},
        "trains no layer",
        late="does not require grad",
    ),
    Broken(
        "sft",
        {"finetuning_type": "freeze", "use_llama_pro": True, "freeze_trainable_layers": -1},
        "1 or more of them",
        late="does not require grad",
    ),
    # Versions that nothing serves.
    Broken("sft", {"train_from_scratch": True}, "it trains on random weights"),
    Broken("dpo", {"finetuning_type": "full", "train_from_scratch": True}, "for stage cpt"),
    Broken("sft", {"finetuning_type": "oft"}, "not served by vLLM"),
    Broken("sft", {"use_dora": True}, "DoRA"),
    Broken("sft", {"additional_target": "lm_head"}, "refused by vLLM"),
    Broken("sft", {"resize_vocab": True}, "new embeddings"),
    Broken("dpo", {"pissa_init": True}, "PiSSA", real="Cannot use PiSSA"),
    # Machine and packages.
    Broken("sft", {"flash_attn": "fa3"}, "not implemented", late="Unknown attention"),
    Broken("sft", {"shift_attn": True}, "before 4.48"),
    Broken("sft", {"rope_scaling": "linear"}, "fails to lengthen"),
    Broken("sft", {"fp16": True}, "needs a GPU"),
    Broken("sft", {"pure_bf16": True}, "needs a GPU", real="does not support `pure_bf16`"),
    Broken("sft", {"tf32": True}, "needs a GPU", real="--tf32 requires"),
    Broken("sft", {"fp16": True, "bf16": True}, "exclude each other", real="At most one of"),
    Broken("sft", {"quantization_bit": 4}, "needs a GPU"),
    Broken("sft", {"quantization_bit": 5}, "4 or 8 bits, not 5", gpus=1),
    Broken("sft", {"quantization_bit": 4, "quantization_method": "gptq"}, "while training", gpus=1),
    Broken(
        "sft",
        {"quantization_bit": 4, "finetuning_type": "full"},
        "goes with LoRA only",
        gpus=1,
        real="only compatible with the LoRA",
    ),
    Broken(
        "sft",
        {"quantization_bit": 4, "quantization_device_map": "auto"},
        "for serving only",
        gpus=1,
        real="Cannot use device map",
    ),
    Broken(
        "sft",
        {"quantization_bit": 8, "deepspeed": ZERO3},
        "does not go with ZeRO-3",
        gpus=2,
        more={"resources": {"devices": 2}},
    ),
    Broken("sft", {}, "3 devices, and this machine has 2", 2, {"resources": {"devices": 3}}),
    # Data.
    Broken("sft", {"streaming": True}, "needs `max_steps`", real="specify `max_steps`"),
    Broken(
        "sft",
        {"streaming": True, "max_steps": 9},
        "needs `dataloader_num_workers",
        late="StopIteration",
    ),
    Broken(
        "sft",
        {"streaming": True, "max_steps": 9, "max_samples": 4},
        "exclude each other",
        real="incompatible with `streaming`",
    ),
    Broken(
        "sft",
        {"streaming": True, "max_steps": 9, "dataloader_num_workers": 1},
        "a share for validation",
        more=SHARE,
        real="integer val size",
    ),
    Broken("sft", {"interleave_probs": "0.5,0.5"}, "interleaved mixing", real="only valid for"),
    Broken(
        "sft",
        {"interleave_probs": "0.5,0.5", "mix_strategy": "interleave_under"},
        "2 shares, and 1 files",
        real="should be identical",
    ),
    Broken("sft", {"neat_packing": True, "flash_attn": "fa2"}, "a packed batch is of one sample"),
    Broken(
        "sft",
        {"interleave_probs": "0.5", "mix_strategy": "interleave_under"},
        "do not sum up to 1",
        late="do not sum to 1",
    ),
    Broken(
        "dpo",
        {"train_sampling_strategy": "group_by_length"},
        "cannot be grouped",
        late="Can only automatically infer lengths",
    ),
    # Evaluation and checkpoints.
    Broken(
        "sft",
        {"finetuning_type": "full", "use_asft_loss": True, **EVAL},
        "fails to evaluate",
        more=SHARE,
        late="iteration over a 0-d tensor",
    ),
    Broken(
        "sft",
        {**BEST, "save_steps": 10, "label_names": ["answers"]},
        "`answers` is not one of labels",
        more=SHARE,
    ),
    Broken("sft", {**EVAL, "eval_accumulation_steps": 0}, "1 or more", more=SHARE, late="modulo"),
    Broken("sft", EVAL, "`eval_strategy` needs data", real="eval_dataset be provided"),
    Broken("sft", {"early_stopping_steps": 2}, "needs data", late="EarlyStopping"),
    Broken("sft", {"load_best_model_at_end": True}, "must be the same", 0, SHARE, "to match"),
    Broken(
        "sft",
        {**BEST, "save_strategy": "epoch"},
        "must be the same",
        more=SHARE,
        real="to match",
    ),
    Broken("sft", {**BEST, "save_steps": 25}, "no multiple", more=SHARE, real="multiple of"),
    Broken(
        "sft",
        {**EVAL, "save_strategy": "best"},
        "metric_for_best_model",
        more=SHARE,
        late="must be provided",
    ),
    Broken(
        "sft", {"early_stopping_steps": 2}, "compares evaluations", more=SHARE, late="EarlyStopping"
    ),
    Broken(
        "sft",
        {**EVAL, "early_stopping_steps": 2},
        "know the metric",
        more=SHARE,
        late="EarlyStopping",
    ),
    Broken(
        "sft",
        {**EVAL, "eval_steps": 1, "metric_for_best_model": "accuracy"},
        "measures no `accuracy`",
        more=SHARE,
        late="which is not found in the evaluation metrics",
    ),
    Broken(
        "rm",
        {**EVAL, "eval_do_concat_batches": False},
        "measured over all batches",
        more=SHARE,
        late="list index out of range",
    ),
    # Schedule and workers.
    Broken("sft", {"warmup_ratio": 0.1}, "`warmup_ratio` is deprecated"),
    Broken(
        "sft",
        {"lr_scheduler_type": "reduce_lr_on_plateau"},
        "follows an evaluation",
        real="requires an eval",
    ),
    Broken(
        "sft",
        {"lr_scheduler_type": "cosine_with_min_lr"},
        "`min_lr` or `min_lr_rate`",
        late="One of min_lr",
    ),
    Broken("sft", {"dataloader_prefetch_factor": 2}, "processes that do it", real="prefetch"),
    Broken("sft", {"log_level": "loud"}, "is not one of", late="KeyError"),
    Broken("sft", {"debug": "overflow"}, "is not one of", real="not a valid"),
    Broken(
        "sft", {"accelerator_config": {"split_batch": True}}, "`split_batches`", real="split_batch"
    ),
    Broken("sft", {"dataloader_prefetch_factor": 0}, "processes that do it", real="prefetch"),
    Broken("sft", {"train_sampling_strategy": "lengths"}, "`lengths` is not one of"),
    Broken("sft", {"ddp_backend": "gloo"}, "there is one process", real="process group"),
    Broken("sft", {"ddp_backend": "glo"}, "did you mean `gloo`", real="process group"),
    Broken("sft", {"tool_format": "qwn"}, "did you mean `qwen`", late="Tool utils `qwn`"),
    Broken(
        "sft", {"torch_compile_backend": "induktor"}, "did you mean `inductor`", real="not a valid"
    ),
    Broken(
        "sft",
        {"torch_compile_mode": "fast"},
        "`fast` is not one of `default`",
        late="Unrecognized mode",
    ),
    Broken(
        "sft",
        {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"reentrant": False}},
        "did you mean `use_reentrant`",
        late="Unexpected keyword",
    ),
    Broken("sft", {"include_num_input_tokens_seen": "some"}, "is not one of all"),
    Broken(
        "sft",
        {"accelerator_config": {"use_configured_state": True}},
        "is not one of dispatch_batches",
        real="requires a pre-configured",
    ),
    Broken("sft", {"image_max_pixels": 1}, "llmops trains on text", real="smaller than"),
    Broken("sft", {"generation_config": "g"}, "belong to an evaluation", real="connect"),
    Broken("sft", {"neftune_noise_alpha": -1.0}, "0 or more", late="uniform_ expects"),
    Broken("sft", {"use_unsloth_gc": True}, "needs a GPU", late="CUDA"),
    Broken(
        "sft",
        {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycle": 1}},
        "did you mean `num_cycles`",
        late="unexpected keyword",
    ),
    Broken(
        "sft",
        {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"num_cycles": 1}},
        "takes no `num_cycles`",
    ),
    Broken("sft", {"lr_scheduler_kwargs": "num_cycles=1"}, "is not a mapping", late="mapping"),
    Broken(
        "sft",
        {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"decay_type": "sqrt"},
        },
        "`sqrt` is not one of",
        late="Unknown decay type",
    ),
    Broken(
        "sft",
        {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 0.1}},
        "ends at a learning rate of 0.1",
        late="must be smaller than initial lr",
    ),
    Broken("sft", {"optim_args": "momentum"}, "not of the form name=value", late="not enough"),
    Broken("sft", {"optim_args": "eps=1e-6,"}, "not of the form name=value", late="not enough"),
    Broken("sft", {"optim": "sgd", "optim_args": "momentun=0.9"}, "did you mean `momentum`"),
    Broken("sft", {"optim_args": "eps=1e-6"}, "`optim: adamw_torch` takes no `eps`"),
    Broken(
        "sft",
        {"optim": "sgd", "optim_args": "momentum=high"},
        "is not what `optim: sgd` takes",
        late="could not convert",
    ),
    Broken("sft", {"use_muon": True, "optim_args": "eps=1e-6"}, "`use_muon` takes none"),
    # Several processes.
    Broken("sft", {"fsdp": "offload"}, "does not shard", real="can't work on its own"),
    Broken("sft", {"fsdp": "full_shard shard_grad_op"}, "exclude", real="not compatible"),
    Broken("sft", {"fsdp": "shards"}, "`shards` is not one of", real="not a valid"),
    Broken("sft", {"fsdp_config": {"min_num_params": 1}}, "does nothing without `fsdp`"),
    Broken("sft", {"deepspeed": "{zero"}, "not a JSON object", real="Expecting property name"),
    Broken(
        "sft",
        {"deepspeed": {**ZERO2, "train_micro_batch_size_per_gpu": 4}},
        "`per_device_train_batch_size: 8` in the recipe",
        gpus=1,
    ),
    Broken("sft", {"deepspeed": ZERO3, "pure_bf16": True}, "ZeRO-3", gpus=1),
    Broken("sft", {"deepspeed": ZERO3}, "ends without the weights", gpus=1),
    Broken("sft", {"deepspeed": ZERO2, "fsdp": "full_shard"}, "exclude each other", gpus=1),
    Broken(
        "sft",
        {"finetuning_type": "full", "use_badam": True, "badam_mode": "ratio"},
        "in one process only",
        more={"resources": {"devices": 2}},
    ),
    Broken(
        "sft",
        {
            "finetuning_type": "full",
            "use_galore": True,
            "galore_layerwise": True,
            "gradient_accumulation_steps": 2,
        },
        "cannot accumulate",
    ),
)
