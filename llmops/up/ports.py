"""Where the parts listen on this machine."""

from collections.abc import Callable

from llmops.errors import BadInput
from llmops.serving.listen import HOST, claim_port

PORTS = {"control": 8700, "ui": 7860, "tensorboard": 6006}


def url_of(part: str, chosen: int | None, report: Callable[[str], None]) -> str:
    """The URL of a part. chosen: a port (0: any free one), or None for its usual one, or any free
    one where that is taken, which is told. Raises BadInput when the chosen one is taken."""
    usual = PORTS[part]
    try:
        port = claim_port(usual if chosen is None else chosen)
    except BadInput as error:
        if chosen is not None:
            fix = f"choose another one: --{part}-port N (0: any free one)"
            raise BadInput(error.what, where=error.where, fix=fix) from None
        port = claim_port(0)
        report(f"{error.what}; {part} listens at {port}")
    return f"http://{HOST}:{port}"
