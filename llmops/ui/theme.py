"""How the UI looks: Gradio's variables for its own components; page.css for the rest.

Fonts are those of the system; light or dark is what the system prefers.
"""

from pathlib import Path
from typing import Any

STYLES = tuple(
    Path(__file__).with_name(f"{name}.css") for name in ("page", "home", "train", "chat", "loop")
)
_FONT = (
    "Inter",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "sans-serif",
)
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


def theme() -> Any:
    """The gr.Theme. Radius, spacing and colours agree with the variables in page.css."""
    import gradio as gr

    look = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=_FONT,
        font_mono=_MONO,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
    )
    look.custom_css = styles()  # so the login has it too, and it is there before the scripts
    return look.set(
        body_background_fill="var(--ll-page)",
        body_background_fill_dark="var(--ll-page)",
        body_text_color="var(--ll-ink)",
        body_text_color_dark="var(--ll-ink)",
        background_fill_primary="var(--ll-surface)",
        background_fill_primary_dark="var(--ll-surface)",
        background_fill_secondary="var(--ll-page)",
        background_fill_secondary_dark="var(--ll-page)",
        border_color_primary="var(--ll-line)",
        border_color_primary_dark="var(--ll-line)",
        block_background_fill="var(--ll-surface)",
        block_background_fill_dark="var(--ll-surface)",
        block_border_width="1px",
        block_shadow="none",
        block_radius="10px",
        container_radius="10px",
        input_radius="8px",
        input_border_width="1px",
        input_border_color="var(--ll-line)",
        input_border_color_dark="var(--ll-line)",
        input_border_color_focus="var(--ll-accent)",
        input_border_color_focus_dark="var(--ll-accent)",
        checkbox_background_color="var(--ll-surface)",
        checkbox_background_color_dark="var(--ll-well)",
        checkbox_background_color_selected="var(--ll-accent)",
        checkbox_background_color_selected_dark="var(--ll-accent)",
        checkbox_border_color="var(--ll-quiet)",
        checkbox_border_color_dark="var(--ll-quiet)",
        block_label_text_color="var(--ll-quiet)",
        block_label_text_color_dark="var(--ll-quiet)",
        input_background_fill="var(--ll-surface)",
        input_background_fill_dark="var(--ll-well)",
        button_primary_background_fill="var(--ll-accent)",
        button_primary_background_fill_dark="var(--ll-accent)",
        button_primary_background_fill_hover="var(--ll-accent-strong)",
        button_primary_background_fill_hover_dark="var(--ll-accent-strong)",
        button_primary_text_color="var(--ll-on-accent)",
        button_primary_text_color_dark="var(--ll-on-accent)",
    )


def styles() -> str:
    """All style sheets, one after another."""
    return "\n".join(file.read_text(encoding="utf-8") for file in STYLES)
