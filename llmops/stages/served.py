"""Whether the deployments of the project could load the adapter that a stage would make.

A server's limit of ranks is fixed while it runs, and stages stack their ranks: without this a
version is found to be too large for its server after it was trained.
"""

from typing import get_args

from llmops.runner.stage import Context, Node
from llmops.spec.deployment import Deployment, LoraRank, VllmBackend
from llmops.spec.load import Loaded
from llmops.spec.reference import parse_reference
from llmops.spec.source import display


def check_rank(node: Node, model: str, rank: int | None, context: Context) -> None:
    """model: the name that a version of it gets; rank: None where it is not known. Raises BadInput
    for a deployment of that name whose server would refuse it."""
    if rank is None:
        return
    for deployment in context.deployments.loaded:
        backend = deployment.spec.backend
        if not isinstance(backend, VllmBackend) or backend.lora.max_rank >= rank:
            continue
        if not _serves(deployment, model):
            continue
        fits = next(size for size in get_args(LoraRank) if size >= rank)
        raise node.declared.bad(
            f"this makes an adapter of rank {rank}, and the deployment {deployment.spec.name}, "
            f"which serves {model}, loads adapters up to rank {backend.lora.max_rank}",
            ("args", "lora_rank") if "lora_rank" in node.spec.args else ("base",),
            fix=f"set `backend.lora.max_rank: {fits}` in {display(deployment.path)}, "
            "or train a smaller rank",
        )


def _serves(deployment: Loaded[Deployment], model: str) -> bool:
    """Whether a variant follows an alias of it: a version that is named stays as it is."""
    for variant in deployment.spec.variants.values():
        try:
            reference = parse_reference(variant.model or "")
        except ValueError:
            continue
        if reference.scheme == "alias" and reference.target == model:
            return True
    return False
