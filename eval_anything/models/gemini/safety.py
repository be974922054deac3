"""Safety settings as users write them: `-M safety=block_none` or `-M safety=harassment=off,...`."""

from __future__ import annotations

from eval_anything.errors import UnknownName
from eval_anything.suggest import unknown

CATEGORIES = ("harassment", "hate_speech", "sexually_explicit", "dangerous_content")
THRESHOLDS = ("off", "block_none", "block_only_high", "block_medium_and_above", "block_low_and_above")


def parse_safety(text: str, where: str) -> dict[str, str]:
    """Threshold by category, both as the API calls them; empty where nothing is set.

    One threshold alone is for all categories. `where` ("model gemini/x, option safety") begins the messages.
    Raises UnknownName for a category or a threshold that there is not.
    """
    settings: dict[str, str] = {}
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        category, equals, threshold = part.rpartition("=")
        threshold = _known(threshold, "threshold", THRESHOLDS, where)
        chosen = (_known(category, "category", CATEGORIES, where),) if equals else CATEGORIES
        settings |= {f"HARM_CATEGORY_{name.upper()}": threshold.upper() for name in chosen}
    return settings


def _known(word: str, kind: str, names: tuple[str, ...], where: str) -> str:
    name = word.strip().removeprefix("harm_category_")
    if name not in names:
        raise UnknownName(f"{where}: {unknown(kind, name, names)}")
    return name
