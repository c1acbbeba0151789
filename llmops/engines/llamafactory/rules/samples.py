"""How samples are read, mixed and packed."""

from math import isclose

from llmops.engines.llamafactory.rules.case import Case


def streaming(case: Case) -> None:
    args = case.args
    if not args.get("streaming"):
        return
    if args.get("max_steps", -1) <= 0:
        raise case.bad(
            "streaming",
            "`streaming` needs `max_steps`",
            fix="write it: data that is streamed has no end that is known",
        )
    if args.get("dataloader_num_workers", 0) < 1:
        raise case.bad(
            "streaming", "`streaming` needs `dataloader_num_workers: 1`", fix="write that, or more"
        )
    data = case.recipe.spec.data
    if isinstance(data.validation, float):
        raise case.recipe.bad(
            "`streaming` cannot take a share for validation",
            ("data", "validation"),
            fix="name files for it",
        )
    for name, files in (("train", data.train), ("validation", data.validation or ())):
        for place, file in enumerate(files):
            if file.limit is not None:
                raise case.recipe.bad(
                    "`streaming` reads all samples of a file, whatever its `limit`",
                    ("data", name, place, "limit"),
                    fix="leave one of them out",
                )


def by_length(case: Case) -> None:
    """The engine looks up the length of `input_ids`, which pairs do not have."""
    if case.args.get("train_sampling_strategy") != "group_by_length":
        return
    if case.stage in ("dpo", "rm"):
        raise case.bad(
            "train_sampling_strategy",
            f"samples of stage {case.stage} have several lengths, and cannot be grouped by one",
            fix="leave it out",
        )


def mixing(case: Case) -> None:
    probabilities = case.args.get("interleave_probs")
    if probabilities is None:
        return
    if case.args.get("mix_strategy", "concat") == "concat":
        raise case.bad(
            "interleave_probs",
            "`interleave_probs` goes with interleaved mixing only",
            fix="write `mix_strategy: interleave_under`, or leave it out",
        )
    try:
        shares = [float(share) for share in probabilities.split(",")]
    except ValueError:
        raise case.bad(
            "interleave_probs", f"`{probabilities}` is not a list of numbers", fix='"0.7,0.3"'
        ) from None
    if len(shares) > 1 and (min(shares) < 0 or not isclose(sum(shares), 1.0, abs_tol=1e-8)):
        raise case.bad(
            "interleave_probs",
            f"the shares {probabilities} do not sum up to 1",
            fix="one for each file",
        )
    data = case.recipe.spec.data
    held = data.validation if isinstance(data.validation, list) else data.train
    for name, files in (("data.train", data.train), ("data.validation", held)):
        if len(files) != len(shares):
            raise case.bad(
                "interleave_probs", f"{len(shares)} shares, and {len(files)} files in {name}"
            )


def flash_packing(case: Case) -> None:
    """The engine's collator asserts it at the first batch."""
    args = case.args
    size = "per_device_train_batch_size"
    batch = args.get(size, case.default(size))
    if args.get("neat_packing") and args.get("flash_attn") == "fa2" and batch != 1:
        raise case.bad(
            "neat_packing",
            f"with flash attention 2 a packed batch is of one sample, not of {batch}",
            fix="write `per_device_train_batch_size: 1`, with a longer `cutoff_len`",
        )
