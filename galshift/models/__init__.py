"""Networks: one file per architecture, each returning ``Output(features, logits)``."""

from galshift.registry import Registry

MODELS = Registry("model", "galshift.models", exclude=("build", "precision"))
