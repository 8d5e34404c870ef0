"""Backbones (series or vectors to embeddings), heads (embeddings to outputs), and their registry."""

from tsmtl.models.backbone import Backbone
from tsmtl.models.registry import register_backbone

__all__ = ["Backbone", "register_backbone"]
