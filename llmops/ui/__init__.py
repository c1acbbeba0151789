"""The web UI: one Gradio tab for each file. It talks HTTP to control and gateway only."""
