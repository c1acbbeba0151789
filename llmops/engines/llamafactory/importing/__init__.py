"""A training config of LLaMA-Factory's own as a recipe."""
