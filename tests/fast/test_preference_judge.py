"""Judge-labelled pairs. The second answers and the verdicts come from small servers on loopback
that speak the protocol; what they say is a function of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput, Failed
from llmops.evaluation.answers import collect
from llmops.preferences.asking import ask_judge
from llmops.preferences.build import Built, build
from llmops.preferences.verdicts import forget, kept
from llmops.runner.stage import Context, Node
from llmops.serving.endpoint import Endpoint
from llmops.spec.load import load_recipe
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.settings import load_settings
from llmops.stages.preferences import sampler
from llmops.store.paths import ProjectPaths
from tests.fast.protocol_server import closed_port
from tests.fast.said import Said, drops, recipe
from tests.fast.talking_server import Talker, talking


def shorter(_: str, told: str) -> str:
    """A judge that prefers the shorter answer, wherever it stands."""
    first, second = told.split("Answer A:\n")[1].split("\n\nAnswer B:\n")
    return "A" if len(first) < len(second) else "B"


class Court:
    """A judge, somebody who answers again, and what is kept of both."""

    def __init__(self, root: Path, judge: Talker, answers: Talker) -> None:
        self.paths = ProjectPaths(root)
        self.judge, self.answers = judge, answers

    def recipe(self, url: str = "http://127.0.0.1:1", **options: Any) -> PreferencesRecipe:
        return recipe(builders={"thumbs": {}, "judge": {"url": url, "model": "j", **options}})

    def built(self, said: Said, made: PreferencesRecipe) -> Built:
        return build(said.log(), made, kept(self.paths))

    def hold(self, said: Said, **options: Any) -> Built:
        """Ask for all that is missing, and build again."""
        with talking(self.judge) as judge, talking(self.answers) as answers:
            made = self.recipe(judge.url, **options)
            self.ask(said, made, answers)
            return self.built(said, made)

    def ask(self, said: Said, made: PreferencesRecipe, answers: Endpoint | None) -> None:
        @contextmanager
        def answerer() -> Iterator[tuple[Endpoint, str]]:
            assert answers is not None, "nobody was to be asked"
            yield answers, "town:v1"

        assert made.builders.judge is not None
        to_ask = self.built(said, made).to_ask
        ask_judge(to_ask, made.builders.judge, answerer, self.paths, lambda *_: None)


@pytest.fixture
def court(tmp_path: Path) -> Court:
    return Court(tmp_path, Talker(shorter), Talker(lambda _, told: f"Well, {told} is the elm."))


@pytest.fixture
def said() -> Said:
    said = Said()
    for number in range(5):
        said.ask(f"question {number}", "The elm.")
    return said


def test_answers_without_partner_are_told_before_anybody_is_asked(court: Court, said: Said) -> None:
    built = court.built(said, court.recipe())
    assert (built.report.to_ask, built.rows.height) == (5, 0)
    assert "a judge would be asked for 5 comparisons" in built.report.lines()


def test_a_judge_makes_pairs_of_answers_and_sampled_ones(court: Court, said: Said) -> None:
    built = court.hold(said)
    (row,) = [r for r in built.rows.to_dicts() if r["prompt"][0]["content"] == "question 3"]
    assert (row["chosen"], row["rejected"]) == ("The elm.", "Well, question 3 is the elm.")
    assert (row["builder"], row["raters"], row["agreement"]) == ("judge", 1, 1.0)
    assert row["inferences"] == [said.answers[3]["id"]]
    assert row["events"] == []
    assert len(court.judge.asked) == 2 * len(court.answers.asked) == 10


def test_the_sampled_answer_may_win(court: Court, said: Said) -> None:
    court.answers.say = lambda *_: "Elm."
    row = court.hold(said).rows.to_dicts()[0]
    assert (row["chosen"], row["rejected"]) == ("Elm.", "The elm.")


def test_a_judge_that_prefers_a_place_says_nothing(court: Court, said: Said) -> None:
    court.judge.say = lambda *_: "A"
    built = court.hold(said)
    assert built.rows.height == 0
    assert drops(built) == {"the judge preferred neither, or not in both orders": 5}


def test_what_was_asked_is_not_asked_again(court: Court, said: Said) -> None:
    with talking(court.judge) as judge, talking(court.answers) as answers:
        made = court.recipe(judge.url)
        court.ask(said, made, answers)
        asked = len(court.judge.asked)
        said.ask("question 5", "The elm.")
        built = court.built(said, made)
        assert (built.rows.height, len(built.to_ask)) == (5, 1)
        court.ask(said, made, answers)
        assert len(court.judge.asked) == asked + 2
        assert court.built(said, made).rows.height == 6


def test_a_prompt_with_a_pair_needs_no_judge(court: Court, said: Said) -> None:
    said.thumb(said.answers[0]["id"], True)
    said.thumb(said.ask("question 0", "No idea."), False)
    built = court.built(said, court.recipe())
    assert {one.prompt[0]["content"] for one in built.to_ask} == {
        f"question {number}" for number in range(1, 5)
    }


def test_comparisons_are_limited_rated_answers_first(court: Court, said: Said) -> None:
    said.thumb(said.answers[4]["id"], True)
    said.thumb(said.answers[2]["id"], False)
    built = court.built(said, court.recipe(limit=2))
    assert {one.inference for one in built.to_ask} == {said.answers[n]["id"] for n in (2, 4)}


def test_what_was_judged_stays_while_the_log_grows(court: Court, said: Said) -> None:
    first = court.hold(said, limit=3)
    for number in range(50):
        said.thumb(said.ask(f"new {number}", "x"), True)
    later = court.built(said, court.recipe(limit=3))
    before = {row["inferences"][0] for row in first.rows.to_dicts()}
    assert {one.inference for one in later.to_ask} == before


@pytest.mark.parametrize(
    "changes",
    [
        {"finish": "length"},
        {"error": "went away"},
        {"endpoint": "completions"},
        {"source": "simulated:x"},
    ],
)
def test_answers_that_cannot_count_are_not_judged(court: Court, changes: dict[str, Any]) -> None:
    said = Said()
    said.ask("question", "The elm.", **changes)
    said.ask([{"role": "tool", "content": "x"}], "The elm.")
    said.ask("another", " ")
    assert court.built(said, court.recipe()).to_ask == ()


def test_a_judge_that_cannot_be_reached(
    court: Court, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(collect.__kwdefaults__, "pauses", (0.0, 0.0))
    made = court.recipe(f"http://127.0.0.1:{closed_port()}")
    with talking(court.answers) as answers, pytest.raises(Failed, match="comparison of item"):
        court.ask(said, made, answers)
    assert sum("text" in value for value in kept(court.paths).values()) == 5


def test_a_key_that_is_not_set_is_told_before_anybody_is_asked(court: Court, said: Said) -> None:
    with pytest.raises(BadInput, match="`NO_SUCH_KEY` is not set"):
        court.ask(said, court.recipe(key_env="NO_SUCH_KEY"), None)


def test_a_sampled_answer_whose_line_was_cut_off_is_asked_for_again(
    court: Court, said: Said
) -> None:
    with talking(court.judge) as judge, talking(court.answers) as answers:
        made = court.recipe(judge.url)
        court.ask(said, made, answers)
        first, *others = court.paths.verdicts.read_text(encoding="utf-8").splitlines(True)
        assert '"text"' in first
        court.paths.verdicts.write_text(first[:50] + "\n" + "".join(others), encoding="utf-8")
        built = court.built(said, made)
        assert (built.rows.height, len(built.to_ask)) == (4, 1)
        court.ask(said, made, answers)
        assert court.built(said, made).rows.height == 5


def test_what_is_forgotten_is_not_kept_here_either(court: Court, said: Said) -> None:
    court.hold(said)
    gone = said.answers[1]["id"]
    forget([gone], court.paths)
    left = {value["inference"] for value in kept(court.paths).values()}
    assert left == {answer["id"] for answer in said.answers} - {gone}


@pytest.mark.parametrize("text", ["one\u2028two", "one\u0085two"])
def test_an_answer_of_many_lines_is_forgotten_whole(court: Court, text: str) -> None:
    file = court.paths.verdicts
    lines = [f'{{"key": "{i}", "inference": "{i}", "text": "{text}"}}\n' for i in "ab"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(lines[0] + lines[1] + lines[0][:-5], encoding="utf-8")
    forget(["a"], court.paths)
    assert file.read_text(encoding="utf-8") == lines[1]


def test_no_reply_of_the_judge_is_kept(court: Court, said: Said) -> None:
    court.judge.say = lambda *told: f"As you said: {told[1]}\n{shorter(*told)}"
    assert court.hold(said).rows.height == 5
    (file,) = court.paths.answers("").parent.iterdir()
    assert "question" not in file.read_text(encoding="utf-8")


RECIPE = """\
kind: preferences
deployment: town
builders: {judge: {url: "http://127.0.0.1:1", model: j, sample_from: NAME}}
output: {preferences: town}
"""
DEPLOYMENT = """\
name: town
backend: {kind: openai, url: "http://127.0.0.1:1"}
variants:
  control: {upstream: gpt}
  candidate: {upstream: gpt-next}
"""


def of_recipe(project: Path, name: str) -> tuple[Path, str]:
    (project / "serving").mkdir(exist_ok=True)
    (project / "serving" / "town.yaml").write_text(DEPLOYMENT, encoding="utf-8")
    (project / "p.yaml").write_text(RECIPE.replace("NAME", name), encoding="utf-8")
    loaded = load_recipe(project / "p.yaml")
    node = Node("p", "preferences", loaded, loaded.spec)
    return sampler(node, Context(load_settings()))


def test_a_variant_answers_again(project: Path) -> None:
    assert of_recipe(project, "candidate") == (project / "serving/town.yaml", "gpt-next")


def test_nobody_of_that_name_answers_again(project: Path) -> None:
    with pytest.raises(BadInput, match="nobody answers as `production`") as caught:
        of_recipe(project, "production")
    assert "p.yaml:3: builders.judge.sample_from" in str(caught.value)
    assert "control, candidate" in str(caught.value)
