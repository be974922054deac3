"""The values that flow through the harness: frozen, typed, and readable and writable as JSON."""

from eval_anything.values.artifact import Artifact, Lineage
from eval_anything.values.message import (
    Audio,
    File,
    Image,
    MediaPart,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Video,
    part_modality,
)
from eval_anything.values.modality import MODALITIES, Capabilities, Modality
from eval_anything.values.price import Price
from eval_anything.values.request import Origin, Params, Request, Tool
from eval_anything.values.response import Fault, Likelihood, Response, State, together
from eval_anything.values.sample import Reference, Sample
from eval_anything.values.score import Score, ScoreState
from eval_anything.values.usage import PURPOSES, Purpose, Spent, Usage

__all__ = [
    "MODALITIES",
    "PURPOSES",
    "Artifact",
    "Audio",
    "Capabilities",
    "Fault",
    "File",
    "Image",
    "Likelihood",
    "Lineage",
    "MediaPart",
    "Message",
    "Modality",
    "Origin",
    "Params",
    "Part",
    "Price",
    "Purpose",
    "Reasoning",
    "Reference",
    "Request",
    "Response",
    "Role",
    "Sample",
    "Score",
    "ScoreState",
    "Spent",
    "State",
    "Text",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Usage",
    "Video",
    "part_modality",
    "together",
]
