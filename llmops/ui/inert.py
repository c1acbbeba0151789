"""Text that others wrote, made inert: it is shown as it is, and does nothing.

Whatever a model answered, a user rated or a declaration says goes through here (or through
markup.tag, which uses it) before it stands in a page.
"""

from html import escape


def inert(text: object) -> str:
    """The text with the five characters of HTML replaced, so that it holds no markup: neither as
    an element's content nor as a quoted attribute."""
    return escape(str(text), quote=True)
