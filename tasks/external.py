"""The seven external benchmarks on which alignment is measured (Align Anything, Table 2)."""

from __future__ import annotations

from collections.abc import Mapping

from eval_anything.group import Combined, Group, Measured


class External(Group):
    """Seven benchmarks with scales of their own: there is no number over all of them."""

    name = "external"
    summary = "the seven external benchmarks of the paper's Table 2, each with a number of its own"
    tasks = (
        "llava_bench_coco",
        "mia_bench",
        "image_reward",
        "hpsv2",
        "interleaved_bench",
        "video_chatgpt",
        "air_bench_chat",
    )
    optional = ("image_reward", "hpsv2", "interleaved_bench")

    def combine(self, metrics: Mapping[tuple[str, str], Measured]) -> list[Combined]:
        return []
