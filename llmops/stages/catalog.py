"""The kinds of stages. A new one is a module and a line here."""

from llmops.runner.stage import Stage
from llmops.stages.base import Base
from llmops.stages.evaluate import Evaluate
from llmops.stages.preferences import Preferences
from llmops.stages.promote import Promote
from llmops.stages.simulate import Simulate
from llmops.stages.train import Train

KINDS: dict[str, Stage] = {
    stage.kind: stage
    for stage in (Base(), Train(), Preferences(), Evaluate(), Simulate(), Promote())
}
