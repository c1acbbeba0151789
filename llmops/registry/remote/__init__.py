"""The Hugging Face Hub behind the registry: versions and their records pushed to a repository of
the model's own, and pulled from it. The local store never needs it."""
