"""Buttons within HTML that do something: page.js asks, Ui.on_do does."""

from llmops.ui.markup import Html, tag


def act(
    label: object,
    name: str,
    value: str = "",
    *,
    confirm: str = "",
    why: str = "",
    optional: bool = False,
    kind: str = "plain",
    disabled: bool = False,
    **attributes: object,
) -> Html:
    """A button for `ui.on_do(name, ...)`.

    value: what it is about (`ask.value`). confirm: the question of a dialog that comes first, for
    whatever is hard to undo. why: the label of a reason that is asked for there (`ask.why`); it
    may be left empty only where it is `optional`. kind: plain, primary or danger.
    """
    return tag(
        "button",
        label,
        type="button",
        class_=f"ll-button ll-{kind}",
        data_act=name,
        data_value=value or None,
        data_confirm=confirm or None,
        data_why=why or None,
        data_optional=optional,
        data_kind=kind,
        disabled=disabled,
        **attributes,
    )
