"""Chat templates in Ollama's language, where it can say them."""

import json
from pathlib import Path

import pytest

from llmops.data.tokens import ChatTokenizer
from llmops.publish.modelfile import UNKNOWN_TEMPLATE, modelfile
from llmops.publish.turns import turns_of
from tests.fast.chat_model_on_disk import CHATML, write_chat_model

DEFAULT = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    + CHATML
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}"
    "<|end_header_id|>\n\n{{ message.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = (
    "{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} "
    "[/INST]{% else %}{{ message.content }}</s>{% endif %}{% endfor %}"
)
DATED = DEFAULT.replace("Be kind.", "It is {{ strftime_now('%d %b %Y') }}.")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_chat_model(tmp_path / "base")


def test_a_modelfile_says_what_the_template_does(base: Path) -> None:
    said, warning = modelfile(base, "./base.gguf", "./adapter.gguf")
    assert not warning
    assert said == (
        "FROM ./base.gguf\n"
        "ADAPTER ./adapter.gguf\n"
        'TEMPLATE """{{- range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n'
        '{{ else if eq .Role "user" }}<|im_start|>user\n'
        "{{ else }}<|im_start|>assistant\n"
        "{{ end }}{{ .Content }}<|im_end|>\n"
        '{{ end }}<|im_start|>assistant\n"""\n'
        'PARAMETER stop "<|im_end|>"\n'
        "PARAMETER num_ctx 512\n"
        "PARAMETER temperature 0.7\n"
        "PARAMETER top_p 0.8\n"
    )


def test_what_a_template_says_of_its_own_becomes_the_system_message(base: Path) -> None:
    (base / "chat_template.jinja").write_text(DEFAULT)
    assert 'SYSTEM """Be kind."""\n' in modelfile(base, ".", None)[0]


@pytest.mark.parametrize(
    ("template", "closing"), [(CHATML, "<|im_end|>\n"), (DEFAULT, "<|im_end|>\n")]
)
def test_turns_render_as_the_template_does(base: Path, template: str, closing: str) -> None:
    (base / "chat_template.jinja").write_text(template)
    found = turns_of(ChatTokenizer(base))
    assert found is not None
    assert found.closing == closing
    chat = [{"role": "user", "content": "Hello\n"}]
    assert found.rendered(chat) == ChatTokenizer(base).rendered(chat)


def test_a_start_that_the_tokenizer_does_not_add_stays_in_the_template(base: Path) -> None:
    (base / "chat_template.jinja").write_text(LLAMA3)
    (base / "tokenizer_config.json").write_text('{"bos_token": "<|endoftext|>"}')
    found = turns_of(ChatTokenizer(base))
    assert found is not None
    assert found.start == "<|endoftext|>"
    assert 'TEMPLATE """<|endoftext|>{{- range' in modelfile(base, ".", None)[0]


def test_a_stop_that_would_end_its_line_is_left_out(base: Path) -> None:
    (base / "tokenizer_config.json").write_text(json.dumps({"eos_token": '"\nADAPTER /etc/x'}))
    said = modelfile(base, ".", None)[0]
    assert "ADAPTER" not in said
    assert said.count("PARAMETER stop") == 1


def test_a_text_that_ends_with_a_quote_is_left_to_ollama(base: Path) -> None:
    (base / "chat_template.jinja").write_text(DEFAULT.replace("Be kind.", 'Be "kind"'))
    assert "SYSTEM" not in modelfile(base, ".", None)[0]


@pytest.mark.parametrize("template", [MISTRAL, DATED, "{{ raise_exception('no') }}"])
def test_other_templates_are_left_to_ollama_with_a_warning(base: Path, template: str) -> None:
    (base / "chat_template.jinja").write_text(template)
    said, warning = modelfile(base, ".", None)
    assert "TEMPLATE" not in said
    assert warning == UNKNOWN_TEMPLATE
