"""Recipes that the engine would refuse late, or train as something else: what the plan says of
each, and what the real engine says of those that its own parser sees."""

from tests.broken_options import OPTIONS
from tests.broken_trainings import TRAININGS

BROKEN = (*OPTIONS, *TRAININGS)
