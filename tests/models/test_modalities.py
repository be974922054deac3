import pytest

from eval_anything.errors import UnknownName, UsageError
from eval_anything.models.modalities import parse_modalities


def test_list_is_ordered_and_without_repeats():
    assert parse_modalities("video, text,text", "here") == ("text", "video")


def test_wrong_words_are_named():
    with pytest.raises(UnknownName, match="here: unknown modality 'vidoe'; did you mean 'video'"):
        parse_modalities("text,vidoe", "here")
    with pytest.raises(UsageError, match="here: expected a comma-separated list"):
        parse_modalities(" ,", "here")
