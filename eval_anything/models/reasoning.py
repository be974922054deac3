"""Thinking between tags, kept apart from the answer.

Models mark their thinking as `<think>...</think>` in the text. Chat templates of some of them put the
opening tag into the prompt, so that only the closing one is in the reply; a reply cut at the token limit has
only the opening one.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def split_reasoning(text: str) -> tuple[str | None, str]:
    """The thinking at the head of `text`, and the answer after it.

    Thinking is None where there is none, and "" where the tags are there and empty. Tags inside of the answer
    are the answer's own words and stay. Thinking that never ends leaves an empty answer. Text without any
    tags is returned as it is; otherwise white space next to the tags is dropped.
    """
    thoughts: list[str] = []
    rest = text
    while rest.lstrip().startswith(OPEN):
        thought, _, rest = rest.lstrip()[len(OPEN) :].partition(CLOSE)
        thoughts.append(thought.strip())
    if not thoughts and CLOSE in text and OPEN not in text:
        thought, _, rest = text.partition(CLOSE)
        thoughts.append(thought.strip())
    if not thoughts:
        return None, text
    return "\n".join(t for t in thoughts if t), rest.strip()
