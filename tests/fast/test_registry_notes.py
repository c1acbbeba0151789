from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.registry.manifest import VersionId
from llmops.registry.notes import Note, Notes, parse_tags
from llmops.store.paths import ProjectPaths

V1, V2 = VersionId("town", 1), VersionId("town", 2)


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(ProjectPaths(tmp_path))


def test_the_last_word_about_a_tag_counts(notes: Notes) -> None:
    notes.tag(V1, {"language": "fr", "reviewed": ""}, by="ann")
    notes.tag(V2, {"language": "de"}, by="ann")
    notes.tag(V1, {"language": "en"}, by="ben")
    notes.untag(V1, ["reviewed"], by="ben")
    assert notes.tags("town") == {"town:v1": {"language": "en"}, "town:v2": {"language": "de"}}


def test_what_was_said_elsewhere_before_is_no_later_word(notes: Notes, tmp_path: Path) -> None:
    notes.tag(V1, {"language": "fr"}, by="ann")
    pulled = Note(time="2020-01-01", version=str(V1), by="ben", tags={"language": "de"})
    with ProjectPaths(tmp_path).notes("town").open("a") as log:
        log.write(pulled.model_dump_json() + "\n")
    assert notes.tags("town") == {"town:v1": {"language": "fr"}}


def test_everything_that_was_said_stays_on_record(notes: Notes) -> None:
    notes.tag(V1, {"reviewed": ""}, by="ann")
    notes.untag(V1, ["reviewed"], by="ben")
    notes.note(V1, " answers in French\n", by="ann")
    notes.note(V2, "about another", by="ann")
    tagged, untagged, note = notes.of(V1)
    assert (tagged.tags, tagged.by) == ({"reviewed": ""}, "ann")
    assert (untagged.tags, untagged.by) == ({"reviewed": None}, "ben")
    assert (note.text, note.tags) == ("answers in French", {})


def test_what_cannot_be_said_is_refused_and_not_recorded(notes: Notes) -> None:
    notes.tag(V1, {"reviewed": ""}, by="ann")
    with pytest.raises(BadInput, match="reviewd") as error:
        notes.untag(V1, ["reviewed", "reviewd"], by="ann")
    assert "reviewed" in error.value.fix
    with pytest.raises(BadInput, match="needs a text"):
        notes.note(V1, " \n", by="ann")
    assert len(notes.of(V1)) == 1


@pytest.mark.parametrize("text", ["", "=x", "a b", "-a", "a" * 65])
def test_a_tag_is_a_key_that_can_be_typed(text: str) -> None:
    assert parse_tags(["a/b", "c=d=e"]) == {"a/b": "", "c": "d=e"}
    with pytest.raises(BadInput, match="cannot be a tag"):
        parse_tags([text])
