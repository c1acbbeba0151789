"""A conversation as a page: questions, answers, and the buttons to say something of them.

Of two answers that wait for a vote it shows the texts, and nothing that tells whose they are.
"""

from llmops.ui.button import act
from llmops.ui.conversation import Answer, Conversation, Turn
from llmops.ui.figure import span
from llmops.ui.icon import icon
from llmops.ui.links import to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import trouble
from llmops.ui.votes import CHOICES
from llmops.ui.words import words

_SIDES = ("A", "B")


def past(conversation: Conversation) -> Html:
    """All turns but the last one."""
    return _log(_turn(turn, number) for number, turn in enumerate(conversation.turns[:-1]))


def now(conversation: Conversation) -> Html:
    """The last turn: the one that may still change."""
    if not conversation.turns:
        return joined()
    last = len(conversation.turns) - 1
    return _log([_turn(conversation.turns[-1], last, last=True)], busy=conversation.live)


def _log(turns: object, *, busy: bool = False) -> Html:
    return tag("div", turns, class_="ll-chat", aria_busy="true" if busy else None)


def _turn(turn: Turn, number: int, *, last: bool = False) -> Html:
    asked = tag("div", words(turn.question), class_="ll-question")
    answers = _both(turn, number) if turn.blind else _one(turn, number, last=last)
    return tag("article", asked, answers, class_="ll-turn", aria_label=f"Turn {number + 1}")


def _one(turn: Turn, number: int, *, last: bool) -> Html:
    answer = turn.answers[0]
    return tag(
        "div",
        _text(answer),
        tag("div", _about(answer), _buttons(answer, number, last=last), class_="ll-about"),
        _comments(answer),
        _earlier(turn),
        class_="ll-answer",
    )


def _text(answer: Answer) -> Html:
    """What is there of it. A cursor stands where it goes on."""
    body: object = words(answer.said) if answer.said else None
    if answer.edit is not None:
        before = tag("details", tag("summary", "As it was answered"), words(answer.text))
        body = joined(tag("span", "Your edit", class_="ll-tag"), body, before)
    if answer.live:
        waiting = None if answer.text else tag("span", "thinking", class_="ll-visually-hidden")
        return joined(body, tag("span", waiting, class_="ll-cursor"))
    if answer.state == "failed" and answer.problem is not None:
        return joined(body, trouble(answer.problem))
    if answer.state == "stopped":
        return joined(body, tag("p", "Stopped.", class_="ll-quiet"))
    return joined(body or tag("p", "An empty answer.", class_="ll-quiet"))


def _about(answer: Answer) -> Html | None:
    """Who answered, how long it took."""
    if answer.live:
        return None
    took = span(answer.ended - answer.asked) if answer.ended else None
    wait = answer.first - answer.asked if answer.first else 0.0
    first = f"first word after {span(wait)}" if wait >= 0.1 else None
    tokens = f"{answer.tokens} tokens" if answer.tokens else None
    told = [to_version(answer.model) if answer.model else None, took, first, tokens]
    parts = [tag("span", one) for one in told if one]
    return tag("span", parts, class_="ll-quiet ll-dots")


def _buttons(answer: Answer, number: int, *, last: bool) -> Html | None:
    if answer.live:
        return None
    rate = [
        _press("up", "Good answer", "chat_thumb", f"{number}:up", answer.thumb == "up"),
        _press("down", "Bad answer", "chat_thumb", f"{number}:down", answer.thumb == "down"),
        _press("edit", "Edit the answer", "chat_edit", str(number)),
        _press("comment", "Comment on the answer", "chat_comment", str(number)),
    ]
    redo = _press("again", "Answer again", "chat_again", str(number)) if last else None
    return tag("span", rate if answer.rateable else None, redo, class_="ll-tools")


def _press(name: str, title: str, action: str, value: str, pressed: bool | None = None) -> Html:
    state = None if pressed is None else str(pressed).lower()
    return act(
        icon(name), action, value, kind="tool", title=title, aria_label=title, aria_pressed=state
    )


def _comments(answer: Answer) -> Html | None:
    if not answer.comments:
        return None
    return tag("div", [words(one, class_="ll-words ll-comment") for one in answer.comments])


def _earlier(turn: Turn) -> Html | None:
    if not turn.earlier:
        return None
    count = len(turn.earlier)
    title = f"{count} earlier answer{'s' if count > 1 else ''}"
    shown = [tag("div", words(one.said), class_="ll-replaced") for one in turn.earlier]
    return tag("details", tag("summary", title), shown)


def _both(turn: Turn, number: int) -> Html:
    sides = [_side(turn, position) for position in (0, 1)]
    again = None
    if not turn.live and not turn.votable and not turn.vote:
        again = act("Ask again", "chat_again", str(number))
    return joined(tag("div", sides, class_="ll-sides"), _ballot(turn, number), again)


def _side(turn: Turn, position: int) -> Html:
    answer = turn.answers[position]
    won = turn.vote == ("first", "second")[position]
    head = tag(
        "header",
        tag("span", _SIDES[position], class_="ll-side-letter"),
        _named(answer) if turn.vote else None,
        tag("span", "Your choice", class_="ll-tag") if won else None,
        class_="ll-side-head",
    )
    chosen = " ll-won" if won else ""
    label = f"Answer {_SIDES[position]}"
    return tag("section", head, _text(answer), class_=f"ll-side{chosen}", aria_label=label)


def _named(answer: Answer) -> Html | None:
    """Whose it was; known only after the vote."""
    if not answer.model:
        return None
    variant = tag("strong", answer.variant) if answer.variant else None
    return tag("span", variant, " ", to_version(answer.model), class_="ll-whose")


def _ballot(turn: Turn, number: int) -> Html | None:
    """The four votes; afterwards what was voted, and what became of the names."""
    if turn.votable:
        votes = [act(title, "chat_vote", f"{number}:{vote}") for vote, title in CHOICES.items()]
        hint = tag("p", "Names are shown after your vote.", class_="ll-quiet")
        group = tag("div", votes, class_="ll-votes", role="group", aria_label="Which is better?")
        return tag("div", group, hint, class_="ll-ballot")
    if not turn.vote:
        return None
    kept = f"Your vote is kept: {CHOICES[turn.vote]}."
    return tag("p", kept, _names(turn), class_="ll-quiet", role="status")


def _names(turn: Turn) -> str | None:
    if turn.names == "told":
        same = len({(one.variant, one.model) for one in turn.answers}) == 1
        return " Both answers came from the same version." if same else None
    if turn.names == "waiting":
        return " Looking up whose they were …"
    return f" Whose they were could not be looked up: {turn.names}"
