"""`llmops up`: all the parts of a project, kept running."""
