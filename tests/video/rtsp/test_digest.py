from __future__ import annotations

import base64
import re

import pytest

from vad.video.rtsp.digest import Authenticator, challenges

MUFASA = {"user": "Mufasa", "password": "Circle of Life"}
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def offer(algorithm: str = "MD5", **more: str) -> str:
    given = {"realm": "cam", "nonce": "n1", "algorithm": algorithm, **more}
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in given.items())


def response_of(authorization: str | None) -> str:
    found = re.search(r'response="(\w+)"', authorization or "")
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_section_3_9_1(algorithm: str, expected: str) -> None:
    said = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    authenticator = Authenticator(**MUFASA)
    assert authenticator.take(challenges([said]))
    shown = authenticator.authorization("GET", "/dir/index.html", cnonce=CNONCE)
    assert response_of(shown) == expected
    assert shown is not None
    assert "nc=00000001" in shown
    assert "qop=auth," in shown
    assert f"algorithm={algorithm}" in shown
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in shown


def test_the_example_of_rfc_2617_section_3_5_without_qop_as_rfc_2069() -> None:
    authenticator = Authenticator("Mufasa", "CircleOfLife")
    said = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert authenticator.take(challenges([said]))
    shown = authenticator.authorization("GET", "/dir/index.html")
    assert response_of(shown) == "1949323746fe6a43ef61f9606e7febea"  # RFC 2069 section 2.4, as its errata have it


def test_each_use_of_a_nonce_is_counted() -> None:
    authenticator = Authenticator("op", "secret")
    authenticator.take(challenges([offer(qop="auth")]))
    numbers = [re.search(r"nc=(\w+)", authenticator.authorization("PLAY", "rtsp://h/") or "") for _ in range(3)]
    assert [found and found[1] for found in numbers] == ["00000001", "00000002", "00000003"]


def test_one_header_may_offer_several_ways_and_a_realm_hold_commas_and_quotes() -> None:
    found = challenges([r'Basic realm="a, b", Digest realm="Login to \"4K\", ch=1", nonce="x", stale=FALSE', "Basic"])
    assert [challenge.scheme for challenge in found] == ["basic", "digest", "basic"]
    assert found[0].parameters == {"realm": "a, b"}
    assert found[1].parameters == {"realm": 'Login to "4K", ch=1', "nonce": "x", "stale": "FALSE"}


def test_the_strongest_digest_is_shown_first_and_basic_never_beside_one() -> None:
    authenticator = Authenticator("op", "secret")
    offered = challenges(['Basic realm="cam"', offer("MD5"), offer("SHA-256"), offer("SHA-512-256")])
    kinds = []
    while authenticator.take(offered):
        assert authenticator.authorization("DESCRIBE", "rtsp://h/")
        kinds.append(authenticator.kind)
    assert kinds == ["Digest with SHA-256", "Digest with MD5"]
    assert "refused (401" in authenticator.why_not(offered)


def test_basic_is_shown_where_nothing_else_is_offered_once() -> None:
    authenticator = Authenticator("op", "pä:ss")
    offered = challenges(['Basic realm="cam"'])
    assert authenticator.take(offered)
    shown = authenticator.authorization("DESCRIBE", "rtsp://h/")
    assert shown == "Basic " + base64.b64encode("op:pä:ss".encode()).decode()
    assert not authenticator.take(offered)


def test_a_stale_nonce_is_replaced_but_not_for_ever() -> None:
    authenticator = Authenticator("op", "secret")
    tried = 0
    while authenticator.take(challenges([offer(nonce=f"n{tried}", stale="true")])) and tried < 20:
        shown = authenticator.authorization("DESCRIBE", "rtsp://h/")
        assert f'nonce="n{tried}"' in (shown or "")
        tried += 1
    assert 2 <= tried <= 4


def test_a_nonce_that_was_accepted_may_be_replaced_without_a_word() -> None:
    """Axis M5525: after a while all that was shown is refused, with a new nonce and stale=FALSE."""
    authenticator = Authenticator("op", "secret")
    for number in range(5):
        assert authenticator.take(challenges([offer(nonce=f"n{number}", stale="FALSE")]))
        authenticator.authorization("GET_PARAMETER", "rtsp://h/")
        authenticator.accepted()


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (offer("SHA-512-256"), "Digest with SHA-512-256"),
        (offer("MD5", qop="auth-int"), "Digest with MD5 (qop auth-int)"),
        ("Negotiate", "Negotiate"),
    ],
)
def test_what_is_not_supported_is_named_and_no_password_called_wrong(header: str, wanted: str) -> None:
    authenticator, offered = Authenticator("op", "secret"), challenges([header])
    assert not authenticator.take(offered)
    assert authenticator.why_not(offered) == (
        f"wants {wanted}, which is not supported; allowed: Basic, Digest with MD5 or SHA-256"
    )


def test_without_a_user_nothing_is_shown() -> None:
    authenticator, offered = Authenticator(None), challenges([offer()])
    assert not authenticator.take(offered)
    assert authenticator.authorization("DESCRIBE", "rtsp://h/") is None
    assert "none are given" in authenticator.why_not(offered)
