"""The control process: the HTTP API over the functions of the CLI."""
