import base64

import pytest

from eval_anything.errors import UsageError
from eval_anything.models.openai.address import DEFAULT_URL, parse_addresses, without_credentials


def test_urls_are_split_and_finished():
    first, second = parse_addresses(
        "http://localhost:8000/v1/, https://host/x/chat/completions?api-version=2"
    )
    assert (first.chat_url, first.host, first.port) == (
        "http://localhost:8000/v1/chat/completions",
        "localhost",
        8000,
    )
    assert second.chat_url == "https://host/x/chat/completions?api-version=2"
    assert (second.shown, second.port) == ("https://host/x", 443)
    assert parse_addresses(DEFAULT_URL)[0].host == "api.openai.com"
    assert parse_addresses("http://[::1]:9/v1")[0].host == "::1"


def test_user_and_password_become_a_header_and_are_never_shown():
    (address,) = parse_addresses("http://me:pa%40ss@host:1/v1")
    token = base64.b64encode(b"me:pa@ss").decode()
    assert address.basic == f"Basic {token}"
    assert set(address.secrets) == {token, "pa@ss"}
    assert "pa" not in address.shown + address.chat_url.replace("/chat/completions", "")


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1/v1", " , "]
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(UsageError, match="OpenAI-compatible server, such as"):
        parse_addresses(url)


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(UsageError) as caught:
        parse_addresses("htp://me:hunter2@host/v1")
    assert "hunter2" not in str(caught.value)
    assert "htp://host/v1" in str(caught.value)


def test_without_credentials_drops_the_query_too():
    assert without_credentials("http://a:b@host/p?key=k#f") == "http://host/p"
    assert without_credentials("http://[bad") == "(unreadable URL)"
