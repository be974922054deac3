"""The cells of AIR-Bench: its tasks, the data sets that each is made of, and how many rows they have.

The misspelled names ("Recontion", "Classfication") are the benchmark's own keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from eval_anything.errors import UsageError
from eval_anything.suggest import unknown

Domain = Literal["speech", "sound", "music", "mixed"]


class Cell(NamedTuple):
    """The rows of one task that come from one data set; their audio lies in the folder of this name."""

    domain: Domain
    task: str
    dataset: str
    rows: int = 0
    """In the published JSON; 0 where only the whole task's number is known."""
    heard: int = 0
    """Of these, with audio: what EvalScope's statistics count. 0: as many as there are rows."""

    @property
    def name(self) -> str:
        return f"{self.task}_{self.dataset}"


CHAT: Final = (
    Cell("speech", "speech_QA", "common_voice_en"),
    Cell("speech", "speech_QA", "iemocap"),
    Cell("speech", "speech_dialogue_QA", "fisher"),
    Cell("speech", "speech_dialogue_QA", "spokenwoz"),
    Cell("sound", "sound_QA", "clotho", 400),
    Cell("sound", "sound_generation_QA", "clotho", 100),
    Cell("music", "music_QA", "musiccaps", 400),
    Cell("music", "music_generation_analysis_QA", "musiccaps", 100),
    Cell("mixed", "speech_and_sound_QA", "audiocaps_cv", 200),
    Cell("mixed", "speech_and_music_QA", "musiccaps_cv", 200),
)
CHAT_ROWS: Final = {
    "speech_QA": 400,
    "speech_dialogue_QA": 400,
    "sound_QA": 400,
    "sound_generation_QA": 100,
    "music_QA": 400,
    "music_generation_analysis_QA": 100,
    "speech_and_sound_QA": 200,
    "speech_and_music_QA": 200,
}
"""2,200 in all; the paper speaks of about 2,000."""

FOUNDATION: Final = (
    Cell("speech", "Speech_Grounding", "librispeech", 981),
    Cell("speech", "Spoken_Language_Identification", "covost2", 1000, 495),
    Cell("speech", "Speaker_Gender_Recognition", "common_voice_13_en", 992, 780),
    Cell("speech", "Speaker_Gender_Recognition", "meld", 1000),
    Cell("speech", "Speaker_Emotion_Recontion", "iemocap", 1000),
    Cell("speech", "Speaker_Emotion_Recontion", "meld", 1000),
    Cell("speech", "Speaker_Age_Prediction", "common_voice_13.0_en", 1000),
    Cell("speech", "Speech_Entity_Reconition", "slurp", 1000),
    Cell("speech", "Speaker_Intent_Classification", "slurp", 1000, 662),
    Cell("speech", "Speaker_Number_Verification", "voxceleb1", 1000, 314),
    Cell("speech", "Synthesized_Voice_Detection", "fake_or_real", 1000),
    Cell("sound", "Audio_Grounding", "AudioGrounding", 896),
    Cell("sound", "vocal_sound_classification", "VocalSound", 1000, 985),
    Cell("sound", "Acoustic_Scene_Classification", "CochlScene", 1000),
    Cell("sound", "Acoustic_Scene_Classification", "TUT2017", 1000),
    Cell("sound", "Sound_AQA", "avqa", 1000),
    Cell("sound", "Sound_AQA", "clothoaqa", 1000),
    Cell("music", "Music_Instruments_Classfication", "MTJ-Jamendo", 1000),
    Cell("music", "Music_Instruments_Classfication", "nsynth", 1000, 996),
    Cell("music", "Music_Genre_Recognition", "MTJ-Jamendo", 1000),
    Cell("music", "Music_Genre_Recognition", "fma", 1000),
    Cell("music", "Music_Midi_Pitch_Analysis", "nsynth", 1000, 493),
    Cell("music", "Music_Midi_Velocity_Analysis", "nsynth", 1000, 484),
    Cell("music", "Music_AQA", "music_avqa", 814),
    Cell("music", "Music_Mood_Recognition", "MTJ-Jamendo", 1000, 526),
)
"""24,683 rows in the JSON, 21,426 with audio."""
LABELS: Final = {
    "Speech_Grounding": "Speech grounding",
    "Spoken_Language_Identification": "Spoken language identification",
    "Speaker_Gender_Recognition": "Speaker gender recognition",
    "Speaker_Emotion_Recontion": "Emotion recognition",
    "Speaker_Age_Prediction": "Speaker age prediction",
    "Speech_Entity_Reconition": "Speech entity recognition",
    "Speaker_Intent_Classification": "Intent classification",
    "Speaker_Number_Verification": "Speaker number verification",
    "Synthesized_Voice_Detection": "Synthesized voice detection",
    "Audio_Grounding": "Audio grounding",
    "vocal_sound_classification": "Vocal sound classification",
    "Acoustic_Scene_Classification": "Acoustic scene classification",
    "Sound_AQA": "Sound question answering",
    "Music_Instruments_Classfication": "Music instruments classification",
    "Music_Genre_Recognition": "Music genre classification",
    "Music_Midi_Pitch_Analysis": "Music note analysis, pitch",
    "Music_Midi_Velocity_Analysis": "Music note analysis, velocity",
    "Music_AQA": "Music question answering",
    "Music_Mood_Recognition": "Music emotion detection",
}
"""How the leaderboard names the foundation tasks, and so do our metrics."""


def tasks(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The tasks of `cells`, each once, in their order."""
    return tuple(dict.fromkeys(cell.task for cell in cells))


def chosen(cells: Sequence[Cell], only: str) -> tuple[Cell, ...]:
    """The cells of the tasks that `only` names, with commas between them; empty: all of them.

    Raises UsageError for a task that there is not.
    """
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    for name in wanted:
        if name not in tasks(cells):
            raise UsageError(f"option only: {unknown('task', name, tasks(cells))}")
    return tuple(cell for cell in cells if not wanted or cell.task in wanted)
