"""Which optimizer, and what is said to it."""

from llmops.engines.llamafactory.rules.case import Case
from llmops.spec.suggest import did_you_mean

_PROJECTED = {
    "use_galore": (
        "adamw_torch",
        "adamw_bnb_8bit",
        "adamw_8bit",
        "paged_adamw_8bit",
        "adafactor",
    ),
    "use_apollo": ("adamw_torch",),
}
_OWN = ("use_galore", "use_apollo", "use_adam_mini", "use_muon")
"""The engine's own optimizers, which look at `optim` at most."""
_LOW_RANK = ("galore_", "apollo_")
_TRUE = ("true", "1", "yes")
_TRUTH = ("y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0")


def optimizer(case: Case) -> None:
    named = case.args.get("optim")
    for key, possible in _PROJECTED.items():
        if case.args.get(key) and named is not None and named not in possible:
            raise case.bad(
                "optim",
                f"`{key}` is not implemented for `optim: {named}`",
                fix=f"use {', '.join(f'`{one}`' for one in possible)}",
            )
    if str(named).startswith(_LOW_RANK) and not case.args.get("optim_target_modules"):
        raise case.bad(
            "optim",
            f"`optim: {named}` needs to know the modules",
            fix="write `optim_target_modules: all-linear`",
        )


def optimizer_arguments(case: Case) -> None:
    """They are read after the model is loaded, and one that is not known is passed over."""
    given = case.args.get("optim_args") or ""
    pairs = [part.partition("=") for part in given.replace(" ", "").split(",")] if given else []
    for name, sign, value in pairs:
        if not (name and sign) or "=" in value:
            raise case.bad(
                "optim_args",
                f"`{name}{sign}{value}` is not of the form name=value",
                fix='write as in "momentum=0.9, nesterov=true"',
            )
    own = next((key for key in _OWN if case.args.get(key)), None)
    if pairs and own is not None:
        raise case.bad("optim_args", f"`{own}` takes none", fix="leave it out")
    # The engine's default is one of the AdamWs of torch.
    named = case.args.get("optim", "adamw_torch")
    known = case.known.optimizers.get(named)
    if known is None or known.takes is None:
        return
    said = {name: value for name, _, value in pairs}
    for name, value in said.items():
        _taken(case, named, known.takes, name, value)
    if named == "sgd" and said.get("nesterov", "").lower() in _TRUE:
        _momentum(case, said)


def _taken(case: Case, named: str, takes: dict[str, str], name: str, value: str) -> None:
    if name not in takes:
        fix = did_you_mean(name, takes) or "leave it out"
        raise case.bad("optim_args", f"`optim: {named}` takes no `{name}`", fix=fix)
    if not _fits(value, takes[name]):
        raise case.bad("optim_args", f"`{name}={value}` is not what `optim: {named}` takes")


def _momentum(case: Case, said: dict[str, str]) -> None:
    if float(said.get("momentum", 0)) <= 0 or float(said.get("dampening", 0)) != 0:
        raise case.bad(
            "optim_args",
            "`nesterov` needs a momentum, and no dampening",
            fix='write "momentum=0.9, nesterov=true"',
        )


def _fits(value: str, made_into: str) -> bool:
    if made_into == "strtobool":
        return value.lower() in _TRUTH
    try:
        {"int": int, "float": float}.get(made_into, str)(value)
    except ValueError:
        return False
    return True
