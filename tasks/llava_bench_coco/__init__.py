"""LLaVA-Bench (COCO)."""
