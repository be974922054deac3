import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import BadRequest, Forbidden, ModelError, RateLimited, ServerFault, TransportFault
from eval_anything.models.openai.faults import excerpt, http_fault, retry_after_s, server_message

WHERE = "http://host/v1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Forbidden),
        (403, Forbidden),
        (404, BadRequest),
        (408, TransportFault),
        (422, BadRequest),
        (429, RateLimited),
        (500, ServerFault),
        (502, ServerFault),
        (503, RateLimited),
        (504, ServerFault),
    ],
)
def test_each_status_has_its_class(status, kind):
    fault = http_fault(status, {}, b'{"error": {"message": "because"}}', (), WHERE)
    assert type(fault) is kind
    assert str(fault) == f"http://host/v1: HTTP {status}: because"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "m", "code": 1}}', "m"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "top"}', "top"),
        (b'{"detail": [{"loc": ["body"]}]}', '[{"loc":["body"]}]'),
        (b"<html>x</html>", "<html>x</html>"),
        (b'["list"]', '["list"]'),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_servers_message_is_found(body, said):
    assert server_message(body) == said


def test_retry_after_in_seconds_and_as_a_date():
    now = 1_700_000_000.0
    assert retry_after_s("7", now) == 7
    assert retry_after_s("0.5", now) == 0.5
    assert retry_after_s(email.utils.formatdate(now + 30, usegmt=True), now) == 30
    assert retry_after_s(email.utils.formatdate(now - 30, usegmt=True), now) == 0
    for useless in ("", "soon", "nan", "inf", "-inf"):
        assert retry_after_s(useless, now) is None
    assert retry_after_s("-3", now) == 0


def test_rate_limit_carries_the_header():
    assert http_fault(429, {"Retry-After": "3"}, b"", (), WHERE).retry_after == 3


def test_redirect_names_its_target_without_credentials():
    fault = http_fault(307, {"Location": "https://u:p@elsewhere/v1?key=1"}, b"", (), WHERE)
    assert type(fault) is BadRequest
    assert "redirects to https://elsewhere/v1," in str(fault)


def test_a_secret_at_the_cut_is_not_shown_in_part():
    secret = "sk-0123456789abcdef"
    line = excerpt("x" * 290 + secret + "tail", (secret,))
    assert "sk-" not in line
    assert len(line) <= 303


@given(st.binary(max_size=400), st.integers(300, 599))
def test_any_body_gives_one_printable_line(body, status):
    fault = http_fault(status, {}, body, (), WHERE)
    assert isinstance(fault, ModelError)
    assert str(fault).isprintable()
    assert len(str(fault)) < 400


def test_deeply_nested_error_body_is_survived():
    assert http_fault(500, {}, b'{"error":' * 50_000, (), WHERE).kind == "server"
