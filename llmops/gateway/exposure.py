"""Which version answers a request, and what is recorded of that choice."""

from dataclasses import dataclass

from llmops.feedback.identity import Identity
from llmops.gateway.request import Request, unit_of
from llmops.gateway.table import Choice, Routing


@dataclass(frozen=True, slots=True)
class Exposure:
    """id: the inference's. unit: empty when nothing was assigned: the request named the version,
    or compares two. group, position: of a comparison. required: whether the answer waits for its
    record."""

    id: str
    choice: Choice
    generation: int
    unit: str
    required: bool
    group: str | None = None
    position: int | None = None


def expose(routing: Routing, request: Request, identity: Identity) -> Exposure:
    """Raises Refused when the request names nothing that is there."""
    inference = identity.new_id(routing.deployment)
    choice, unit = routing.named(request.model), ""
    if choice is None:
        unit = unit_of(request, routing.routes.unit, inference, identity)
        choice = routing.assigned(unit)[0]
    return Exposure(inference, choice, routing.generation, unit, routing.required)


def expose_two(
    routing: Routing, request: Request, identity: Identity, group: str, *, swapped: bool
) -> tuple[Exposure, Exposure]:
    """Two variants of the split, the unit's own and the one that would come next; where there is
    only one, or one was named, two answers of that. swapped: the order in which they are shown.

    No exposure: who sees both is evidence for neither.
    """
    named = routing.named(request.model)
    if named is not None:
        choices = [named, named]
    else:
        unit = unit_of(request, routing.routes.unit, group, identity)
        found = routing.assigned(unit)
        choices = [found[0], found[1] if len(found) > 1 else found[0]]
    if swapped:
        choices.reverse()
    first, second = (
        Exposure(
            identity.new_id(routing.deployment),
            choice,
            routing.generation,
            "",
            routing.required,
            group,
            position,
        )
        for position, choice in enumerate(choices)
    )
    return first, second
