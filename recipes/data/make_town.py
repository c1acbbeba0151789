"""Write the data of the town guide: a small, seeded language task for demos and tests.

The guide knows an imaginary region: 72 towns, each with a river, a tree in its square,
an animal on its crest and a ware it is known for (288 facts). Six files are written:

- ``town_cpt.jsonl``: guide entries as plain text, for continued pre-training;
- ``town_sft.jsonl``: questions with answers, some terse and some wordy;
- ``town_dpo.jsonl``: the same question answered tersely (chosen) and wordily (rejected),
  both correct;
- ``town_kto.jsonl``: one answer of each of those pairs, labelled good or bad;
- ``town_prompts.jsonl``: what simulated users ask, with the answer that they know and the one
  that they would have written;
- ``town_questions.jsonl``: one question per fact, in phrasings that no other file uses.

Usage: ``python make_town.py OUTDIR [--seed N]``. The same seed gives the same bytes.
"""

import argparse
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SEED = 7
CPT_ENTRIES_PER_TOWN = 40
CURT_TERSE_SHARE = 0.8
POLITE_TERSE_SHARE = 0.2

TOWNS = (
    "Abbern Ardel Balwick Benholt Birsby Brindon Burwen Caldry Cobley Corvale Cradwell Culham "
    "Dalbury Darrow Denwick Dorling Dunmere Eastrop Edgeley Elvant Embury Fairlow Farnby Felgate "
    "Fordel Gadwick Garsden Gilby Gorstan Gretley Hadlow Halvern Harby Helmsey Hindle Hexley "
    "Ilvery Ingrove Jarrold Jesmere Kelby Kempley Kirdon Lambrick Langor Ledwyn Lindle Lupwell "
    "Maldry Marwick Melbury Moswick Nabdon Norley Nunwick Oakam Orwyn Oswin Padbury Penrow "
    "Quarley Ravely Redmere Rushby Selwick Skelby Tamsey Thornel Ulverby Varley Wexby Yeldon"
).split()


@dataclass(frozen=True)
class Relation:
    """One kind of fact: its values and every way in which it is told, asked and answered."""

    name: str
    values: tuple[str, ...]
    statements: tuple[str, ...]
    curt: tuple[str, ...]
    polite: tuple[str, ...]
    held_out: tuple[str, str]
    terse: str
    wordy: tuple[str, ...]


RELATIONS = (
    Relation(
        name="river",
        values=tuple("Wend Morrow Sill Ouden Fenna Yarl Dovel Kess Pell Arrin Tave Lorn".split()),
        statements=(
            "The river at {town} is the {value}.",
            "The river that flows past {town} is the {value}.",
            "In {town} the old bridge crosses the river {value}.",
            "The town of {town} lies on the river {value}.",
            "Boats come to {town} on the river {value}.",
            "Question: what is the river of {town} called? Answer: the {value}.",
            "Question: which river flows by {town}? Answer: the {value}.",
        ),
        curt=(
            "Which river runs through {town}?",
            "What is the name of the river at {town}?",
            "Which river would I see in {town}?",
            "What river does {town} stand on?",
            "Name the river that passes {town}.",
            "On which river does {town} lie?",
        ),
        polite=(
            "Can you tell me the river of {town}?",
            "Could you say which river {town} has?",
            "Could you tell me what river {town} stands on?",
            "I am going to {town}. Can you tell me which river is there?",
            "Please could you tell me the name of the river at {town}?",
            "Can you say which river I would see in {town}?",
        ),
        held_out=(
            "Which river flows past {town}?",
            "Could you tell me which river flows past {town}?",
        ),
        terse="The {value}.",
        wordy=(
            "Anyone there will tell you that the river is the {value}, "
            "and that it is best seen from the old bridge.",
            "Anyone there will say that their river is the {value}, "
            "which is a fine place for a walk in the evening.",
        ),
    ),
    Relation(
        name="tree",
        values=tuple("oak elm birch rowan willow maple cedar hazel holly pine beech lime".split()),
        statements=(
            "The tree in the square of {town} is the {value}.",
            "In the square at {town} grows a very old tree, the {value}.",
            "The tree that gives {town} its shade is the {value}.",
            "People in {town} meet under their tree, the {value}.",
            "The market of {town} is held around a tree, the {value}.",
            "Question: what tree grows in the square at {town}? Answer: the {value}.",
            "Question: which is the tree of {town}? Answer: the {value}.",
        ),
        curt=(
            "Which tree grows in the square of {town}?",
            "What is the tree in the middle of {town}?",
            "Which tree would I see in {town}?",
            "What tree does the square at {town} have?",
            "Name the tree that stands in {town}.",
            "Under which tree do people meet in {town}?",
        ),
        polite=(
            "Can you tell me the tree of {town}?",
            "Could you say which tree {town} has?",
            "Could you tell me what tree grows in {town}?",
            "I am going to {town}. Can you tell me which tree is in the square?",
            "Please could you tell me the name of the tree in {town}?",
            "Can you say which tree I would see in {town}?",
        ),
        held_out=(
            "Which tree stands in the square at {town}?",
            "Could you tell me which tree stands in {town}?",
        ),
        terse="The {value}.",
        wordy=(
            "Anyone there will tell you that the tree is the {value}, "
            "and that it is best seen in the spring.",
            "Anyone there will say that their tree is the {value}, "
            "which gives the whole square its shade in summer.",
        ),
    ),
    Relation(
        name="animal",
        values=tuple("heron otter fox stag badger swan hare owl trout raven ram wolf".split()),
        statements=(
            "The animal on the crest of {town} is the {value}.",
            "The crest of {town} shows an animal, the {value}.",
            "Over the gate of {town} is the animal of its crest, the {value}.",
            "People in {town} chose an animal for their crest, the {value}.",
            "On the flag of {town} is an animal, the {value}.",
            "Question: what animal does {town} have on its crest? Answer: the {value}.",
            "Question: which is the animal of {town}? Answer: the {value}.",
        ),
        curt=(
            "Which animal is on the crest of {town}?",
            "What is the animal that {town} has on its crest?",
            "Which animal would I see on the gate of {town}?",
            "What animal does the crest of {town} show?",
            "Name the animal that stands for {town}.",
            "With which animal is the flag of {town} painted?",
        ),
        polite=(
            "Can you tell me the animal of {town}?",
            "Could you say which animal {town} has?",
            "Could you tell me what animal the crest of {town} shows?",
            "I am going to {town}. Can you tell me which animal is on the crest?",
            "Please could you tell me the name of the animal of {town}?",
            "Can you say which animal I would see on the gate of {town}?",
        ),
        held_out=(
            "Which animal does {town} show on its crest?",
            "Could you tell me which animal is on the flag of {town}?",
        ),
        terse="The {value}.",
        wordy=(
            "Anyone there will tell you that the animal is the {value}, "
            "and that it is painted over the gate of the town.",
            "Anyone there will say that their animal is the {value}, "
            "which has been on the crest for as long as people know.",
        ),
    ),
    Relation(
        name="ware",
        values=tuple(
            "rope glass cheese honey pottery lace cider clocks paper soap bells boots".split()
        ),
        statements=(
            "The town of {town} is known for the {value} it makes.",
            "People come to {town} to buy the {value}.",
            "At the market of {town} you can buy the well known {value}.",
            "The shops of {town} are known for the {value} they sell.",
            "Everyone knows {town} for the {value} it makes.",
            "Question: what do people buy in {town}? Answer: the {value}.",
            "Question: what is the town of {town} known for? Answer: the {value}.",
        ),
        curt=(
            "What is {town} known for?",
            "What do the shops of {town} sell that is so well known?",
            "What should I buy in {town}?",
            "What does everyone buy at the market of {town}?",
            "Name the thing that {town} is known for.",
            "For what do people come to buy in {town}?",
        ),
        polite=(
            "Can you tell me what {town} is known for?",
            "Could you say what {town} is known for?",
            "Could you tell me what people buy in {town}?",
            "I am going to {town}. Can you tell me what I should buy?",
            "Please could you tell me what the shops of {town} sell?",
            "Can you say what everyone buys at the market of {town}?",
        ),
        held_out=(
            "What is the market of {town} known for?",
            "Could you tell me what the market of {town} is known for?",
        ),
        terse="The {value}.",
        wordy=(
            "Anyone there will tell you that the town is known for the {value}, "
            "and that it is best to come early on a market day.",
            "Anyone there will say that you should buy the {value}, "
            "which the shops around the square sell all year.",
        ),
    ),
)

Facts = dict[tuple[str, str], str]
Row = dict[str, object]


def make_facts(rng: random.Random) -> Facts:
    """Draw one value for every (town, relation), each value equally often."""
    facts: Facts = {}
    for relation in RELATIONS:
        repeats = -(-len(TOWNS) // len(relation.values))
        values = list(relation.values) * repeats
        rng.shuffle(values)
        facts.update(
            {(town, relation.name): value for town, value in zip(TOWNS, values, strict=False)}
        )
    return facts


def make_entries(facts: Facts, rng: random.Random) -> list[Row]:
    """Write the guide: entries that tell all facts of one town, in changing words and order."""
    rows: list[Row] = []
    for town in TOWNS:
        for _ in range(CPT_ENTRIES_PER_TOWN):
            sentences = []
            for relation in rng.sample(RELATIONS, len(RELATIONS)):
                statement = rng.choice(relation.statements)
                sentences.append(statement.format(town=town, value=facts[town, relation.name]))
            rows.append({"text": " ".join(sentences)})
    rng.shuffle(rows)
    return rows


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def make_conversations(facts: Facts, rng: random.Random) -> list[Row]:
    """Ask for every fact several times, answered tersely or wordily by chance.

    A curt question mostly gets a terse answer and a polite one a wordy answer, so that a
    model trained on it is terse for half of the held-out questions and samples both styles.
    """
    rows: list[Row] = []
    for town in TOWNS:
        for relation in RELATIONS:
            value = facts[town, relation.name]
            askings = [(question, CURT_TERSE_SHARE) for question in relation.curt]
            askings += [(question, POLITE_TERSE_SHARE) for question in relation.polite]
            for question, terse_share in askings:
                terse = rng.random() < terse_share
                answer = relation.terse if terse else rng.choice(relation.wordy)
                rows.append(
                    {
                        "messages": [
                            _turn("user", question.format(town=town)),
                            _turn("assistant", answer.format(value=value)),
                        ]
                    }
                )
    rng.shuffle(rows)
    return rows


def make_preferences(facts: Facts, rng: random.Random) -> list[Row]:
    """Pair a terse (chosen) with a wordy (rejected) answer; both are correct.

    Every fact gives two pairs: one for a curt question and one for a polite one.
    """
    rows: list[Row] = []
    for town in TOWNS:
        for relation in RELATIONS:
            value = facts[town, relation.name]
            for question in (rng.choice(relation.curt), rng.choice(relation.polite)):
                rejected = rng.choice(relation.wordy)
                rows.append(
                    {
                        "messages": [_turn("user", question.format(town=town))],
                        "chosen": _turn("assistant", relation.terse.format(value=value)),
                        "rejected": _turn("assistant", rejected.format(value=value)),
                    }
                )
    rng.shuffle(rows)
    return rows


def make_labels(pairs: list[Row]) -> list[Row]:
    """One answer of each pair with its label: of even ones the chosen, of others the rejected."""
    return [
        {
            "messages": [*pair["messages"], pair["rejected" if index % 2 else "chosen"]],
            "label": index % 2 == 0,
        }
        for index, pair in enumerate(pairs)
    ]


def make_prompts(facts: Facts, rng: random.Random) -> list[Row]:
    """Ask for every fact curtly and politely, in phrasings of the conversations.

    ``answer`` is the word that a right answer names, ``ideal`` the answer as the users like it.
    """
    rows: list[Row] = []
    for town in TOWNS:
        for relation in RELATIONS:
            value = facts[town, relation.name]
            for question in (rng.choice(relation.curt), rng.choice(relation.polite)):
                rows.append(
                    {
                        "prompt": question.format(town=town),
                        "answer": value,
                        "ideal": relation.terse.format(value=value),
                    }
                )
    rng.shuffle(rows)
    return rows


def make_questions(facts: Facts) -> list[Row]:
    """Ask for every fact once, taking turns between the held-out phrasings.

    `others` are the values that would be wrong; `source` is the town, whose four questions stand
    on the same entries of the guide and are no independent evidence.
    """
    rows: list[Row] = []
    for index, town in enumerate(TOWNS):
        for relation in RELATIONS:
            phrasing = relation.held_out[index % len(relation.held_out)]
            answer = facts[town, relation.name]
            rows.append(
                {
                    "id": f"{relation.name}-{town.lower()}",
                    "source": town,
                    "prompt": phrasing.format(town=town),
                    "answer": answer,
                    "others": [value for value in relation.values if value != answer],
                    "relation": relation.name,
                }
            )
    return rows


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """Write one JSON object per line, with the same bytes on every platform."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes("".join(lines).encode("utf-8"))


def write_town(directory: Path, seed: int = DEFAULT_SEED) -> list[Path]:
    """Write the six files into `directory` and return their paths."""
    facts = make_facts(random.Random(f"{seed}:facts"))
    pairs = make_preferences(facts, random.Random(f"{seed}:dpo"))
    files = {
        "town_cpt.jsonl": make_entries(facts, random.Random(f"{seed}:cpt")),
        "town_sft.jsonl": make_conversations(facts, random.Random(f"{seed}:sft")),
        "town_dpo.jsonl": pairs,
        "town_kto.jsonl": make_labels(pairs),
        "town_prompts.jsonl": make_prompts(facts, random.Random(f"{seed}:prompts")),
        "town_questions.jsonl": make_questions(facts),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        write_jsonl(directory / name, rows)
    return [directory / name for name in files]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write the data of the town guide.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args()
    for path in write_town(arguments.outdir, arguments.seed):
        print(path)


if __name__ == "__main__":
    main()
