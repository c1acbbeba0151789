"""A small Hub-speaking server on loopback, owned by the tests. It is not the Hugging Face Hub: it
speaks as much of its protocol as the unmodified huggingface_hub client needs here."""
