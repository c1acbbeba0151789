"""llmops: declarative training, registry and serving of language models.

The control plane. It imports neither torch nor an engine: engines run in environments of their
own, behind argv, environment variables, files and HTTP (docs/architecture.md).
"""

__version__ = "0.1.0"
