"""A recipe's `template:` against the base's own chat template; base or instruct. The engine's
source is a small one of these tests, that registers templates as LLaMA-Factory does."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from llmops.engines.contract import Environment, ModelFiles
from llmops.engines.llamafactory.templates import EngineTemplate, check_template, read_template
from llmops.errors import BadInput
from llmops.registry.tuning import tuning
from llmops.store.atomic import write_json
from tests.training_jobs import LAYOUT_ROWS, bare_environment, train_job, train_recipe, write_rows

SOURCE = """\
register_template(
    name="marked",
    format_user=StringFormatter(slots=["[u]{{content}}[/u] [a]"]),
    format_assistant=StringFormatter(slots=["{{content}}", {"eos_token"}]),
    format_prefix=EmptyFormatter(slots=[{"bos_token"}]),
)
register_template(
    name="polite",
    format_user=StringFormatter(slots=["[u]{{content}}[/u] [a]"]),
    format_system=StringFormatter(slots=["[s]{{content}}[/s]"]),
    default_system="Be polite.",
    template_class=Llama2Template,
)
register_template(name="own", template_class=MyTemplate)
register_template(name="computed", format_user=StringFormatter(slots=SLOTS))
"""
MARKED = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[u]{{ m.content }}[/u] [a]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = bare_environment(tmp_path)
    source = made.site / "llamafactory/data/template.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    return made


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}
    write_json(folder / "tokenizer_config.json", {**tokens, "chat_template": MARKED})
    return folder


def check(base: Path, environment: Environment, template: str, insist: bool = False) -> None:
    root = base.parent
    _, name, rows = LAYOUT_ROWS["messages"]
    recipe = train_recipe(
        root,
        data=write_rows(root / name, rows),
        template=template,
        insist_on_template=insist,
    )
    check_template(train_job(recipe, ModelFiles(base), root / "attempt"), environment)


def test_a_template_that_makes_the_same_of_a_chat_is_taken(
    base: Path, environment: Environment
) -> None:
    check(base, environment, "marked")


def test_one_that_makes_other_tokens_is_refused_where_they_differ(
    base: Path, environment: Environment
) -> None:
    with pytest.raises(BadInput, match="`polite` contradicts the base's own") as caught:
        check(base, environment, "polite")
    assert "'<s>[u]Hello." in caught.value.what
    assert "'[u][s]Be polite.[/s]Hello." in caught.value.what
    assert caught.value.where.endswith("sft.yaml:6: template")


def test_a_recipe_may_insist(base: Path, environment: Environment) -> None:
    check(base, environment, "polite", insist=True)


@pytest.mark.parametrize("template", ["own", "computed"])
def test_what_cannot_be_read_is_not_judged(
    base: Path, environment: Environment, template: str
) -> None:
    assert read_template(environment.site, template) is None
    check(base, environment, template)


def test_other_words_for_the_same_tokens_are_no_contradiction(
    base: Path, environment: Environment
) -> None:
    """A tokenizer of whole words: a space more is nothing to it."""
    file = base / "chat_template.jinja"
    file.write_text(MARKED.replace("[/u] [a]", " [/u]  [a] ").replace("{{ eos", " {{ eos"))
    with pytest.raises(BadInput, match="contradicts"):
        check(base, environment, "marked")
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    words.save(str(base / "tokenizer.json"))
    check(base, environment, "marked")


def test_the_system_may_stand_in_the_first_of_the_users_words() -> None:
    named = EngineTemplate(
        system=("[s]{{content}}[/s]",),
        user=("[u]{{content}}[/u]",),
        default_system="Hi.",
        fused=True,
    )
    chat = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    assert "".join(named.pieces(chat, {"eos_token": "."})) == "[u][s]Hi.[/s]A[/u]B."


def test_a_base_without_a_chat_template_contradicts_nothing(
    base: Path, environment: Environment
) -> None:
    write_json(base / "tokenizer_config.json", {})
    check(base, environment, "polite")


@pytest.mark.parametrize(
    ("template", "eos", "name", "kind"),
    [
        (None, "</s>", "", "base"),
        (MARKED, "</s>", "", "instruct"),
        (MARKED, "<end>", "", "base with a chat template"),
        (MARKED, "</s>", "hub:org/Town-4B-Base@abc", "base with a chat template"),
        (MARKED, "<end>", "hub:org/Town-4B-Instruct-2507@abc", "instruct"),
    ],
)
def test_base_and_instruct_are_told_apart(
    base: Path, template: str | None, eos: str, name: str, kind: str
) -> None:
    """By the chat template, the name, and whether what ends an answer ends generation."""
    settings = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": template}
    tokens = {"7": {"content": eos}}
    write_json(base / "tokenizer_config.json", {**settings, "added_tokens_decoder": tokens})
    write_json(base / "generation_config.json", {"eos_token_id": [7]})
    assert tuning(base, name) == kind


@pytest.mark.parametrize("added", [None, ["</s>"], {"7": "</s>"}, {"7": {}}])
def test_tokens_that_are_written_as_nobody_writes_them_end_nothing(
    base: Path, added: object
) -> None:
    tokens = {"eos_token": "</s>", "chat_template": MARKED, "added_tokens_decoder": added}
    write_json(base / "tokenizer_config.json", tokens)
    write_json(base / "generation_config.json", {"eos_token_id": [7]})
    assert tuning(base) == "base with a chat template"
