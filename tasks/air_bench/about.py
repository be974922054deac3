"""What both halves of AIR-Bench have in common."""

HOMEPAGE = "https://github.com/OFA-Sys/AIR-Bench"
LICENCE = "CC BY-NC 4.0 (data; the recordings keep the licences of their sources), Apache-2.0 (code)"
CITATION = (
    "Yang et al., AIR-Bench: Benchmarking Large Audio-Language Models via Generative Comprehension,"
    " ACL 2024, arXiv 2402.07729"
)
