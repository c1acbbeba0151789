"""`python -m llmops`: the same as the `llmops` command."""

from llmops.cli.app import main

if __name__ == "__main__":
    main()
