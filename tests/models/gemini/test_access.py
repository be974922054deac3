import pytest
from gemini_lab import KEY

from eval_anything.errors import UsageError
from eval_anything.models.gemini.access import DEFAULT_URL, find_access


@pytest.mark.parametrize(
    ("given", "version", "url", "found"),
    [
        (DEFAULT_URL, "", DEFAULT_URL, ""),
        (f"{DEFAULT_URL}/v1beta/", "", DEFAULT_URL, "v1beta"),
        ("http://localhost:8080/", "", "http://localhost:8080", ""),
        ("http://localhost:8080/v1beta", "v1", "http://localhost:8080", "v1"),
        ("https://proxy.example/gemini/v1beta", "", "https://proxy.example/gemini", "v1beta"),
    ],
)
def test_addresses_and_versions(given, version, url, found):
    access = find_access(given, None, version)
    assert (access.base_url, access.version) == (url, found)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://x",
        "http://",
        "http://x:port",
        "http://me:hunter22@x",
        "http://x?key=hunter22",
    ],
)
def test_what_is_no_address_or_holds_a_secret_is_refused_and_not_shown(url):
    with pytest.raises(
        UsageError, match="expected the address of a server that speaks the Gemini API"
    ) as caught:
        find_access(url, None, "")
    assert "hunter22" not in str(caught.value)


def test_whose_key_goes_where(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("MINE", "short")
    assert find_access(DEFAULT_URL, None, "").key == KEY
    assert find_access(f"{DEFAULT_URL}/v1beta", None, "").key == KEY
    assert find_access("http://localhost:1", None, "").key == ""
    assert find_access("http://localhost:1", "GEMINI_API_KEY", "").secrets == (KEY,)
    assert find_access("http://localhost:1", "MINE", "").secrets == ()
