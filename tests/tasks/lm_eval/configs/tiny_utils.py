"""Functions of the tasks beside it."""


def overlap(doc, results):
    """A share of letters, and pairs that make a number only together."""
    said, right = results[0], doc["long_answer"]
    common = sum(letter in said for letter in right)
    return {"letters": common / len(right), "pooled": (common, len(right))}


def pooled(items):
    return sum(common for common, _ in items) / sum(length for _, length in items)
