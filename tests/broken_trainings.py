"""Broken by the course of a training: its data, evaluation, schedule and processes."""

from tests.broken import BEST, EVAL, SHARE, ZERO2, ZERO3, Broken

TRAININGS = (
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
        {**BEST, "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "label_names": ["x"]},
        "`x` is not one of labels",
        more=SHARE,
        late="which is not found in the evaluation metrics",
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
        "sft",
        {
            **EVAL,
            "eval_steps": 1,
            "compute_accuracy": True,
            "prediction_loss_only": True,
            "metric_for_best_model": "accuracy",
        },
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
    Broken("sft", {"dataloader_prefetch_factor": 0}, "1 or more", real="prefetch"),
    Broken(
        "sft",
        {"accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 2}}},
        "is an option of its own",
    ),
    Broken(
        "sft",
        {
            "lr_scheduler_type": "inverse_sqrt",
            "lr_scheduler_kwargs": {"timescale": 0},
        },
        "it is above 0",
        late="ZeroDivision",
    ),
    Broken(
        "sft",
        {"optim": "sgd", "optim_args": "nesterov=true"},
        "needs a momentum",
        late="Nesterov momentum",
    ),
    Broken("sft", {"parallelism_config": {"tp_size": 1}}, "an object of Python", late="accelerate"),
    Broken("sft", {"train_sampling_strategy": "lengths"}, "`lengths` is not one of"),
    Broken("sft", {"ddp_backend": "gloo"}, "there is one process", real="process group"),
    Broken("sft", {"ddp_backend": "glo"}, "did you mean `gloo`", real="process group"),
    Broken("sft", {"tool_format": "qwn"}, "did you mean `qwen`", late="Tool utils `qwn`"),
    Broken(
        "sft", {"torch_compile_backend": "induktor"}, "did you mean `inductor`", late="not a valid"
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
    Broken("sft", {"image_max_pixels": 1}, "llmops trains on text", real="smaller than"),
    Broken("sft", {"temperature": 0.5}, "belong to an evaluation"),
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
    Broken(
        "sft",
        {
            "fsdp": "full_shard",
            "fsdp_config": {"min_num_params": 1, "fsdp_transformer_layer_cls_to_wrap": "Layer"},
        },
        "`transformer_layer_cls_to_wrap` exclude each other",
        real="mutually exclusive",
    ),
    Broken(
        "sft",
        {
            "fsdp": "full_shard",
            "fsdp_config": {"sync_module_states": False, "cpu_ram_efficient_loading": True},
        },
        "no weights but what is synced",
        real="`sync_module_states` must be",
    ),
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
    Broken(
        "sft", {"deepspeed": ZERO3, "finetuning_type": "full"}, "ends without the weights", gpus=1
    ),
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
