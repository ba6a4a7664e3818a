"""docs/bridges.md and the example site say what is so."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from vad.config import load_config, make_config
from vad.events.bridges.webhook import signature, signing_key

DOCUMENT = (REPOSITORY / "docs" / "bridges.md").read_text()
EXAMPLE = REPOSITORY / "site.example.yaml"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


def secrets_in(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With files and variables that are there."""
    for variable in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(variable, "secret")
    for path in re.findall(r"_file: ([^\s,}]+)", text):
        name = folder / path.replace("/", "_")
        name.write_text("secret")
        text = text.replace(path, str(name))
    return text


def test_the_site_of_the_document_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bridges = yaml.safe_load(secrets_in(block("yaml"), tmp_path, monkeypatch))["bridges"]
    site = make_config({"cameras": {"a": {"url": "a.mp4"}}, "bridges": bridges}, source="docs")
    assert [bridge.type for bridge in site.bridges] == ["mqtt", "webhook", "nats"]


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "any other text"])
def test_the_function_of_the_document_tells_what_is_genuine(secret: str) -> None:
    names: dict[str, object] = {}
    exec(block("python"), names)
    is_genuine = names["is_genuine"]
    now, body = str(int(time.time())), b'{"id": "a-1"}'
    signed = signature(signing_key(secret), request_id="a-1", timestamp=now, body=body)
    headers = {"webhook-id": "a-1", "webhook-timestamp": now, "webhook-signature": signed}
    assert callable(is_genuine)
    assert is_genuine(secret, headers, body)
    assert not is_genuine(secret, headers, body + b" ")
    assert not is_genuine(secret + "aaaa", headers, body)
    old = str(int(time.time()) - 1_000)
    signed = signature(signing_key(secret), request_id="a-1", timestamp=old, body=body)
    assert not is_genuine(secret, {**headers, "webhook-timestamp": old, "webhook-signature": signed}, body)


def test_the_example_site_is_valid_with_what_it_has_commented_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXAMPLE.read_text()
    assert load_config(EXAMPLE).bridges == []
    shown = text[text.index("# bridges:") :].split("\n\n")[0]
    text = text.replace(shown, "\n".join(line.removeprefix("# ") for line in shown.splitlines()))
    keys = re.search(r"  # keys:.*\n(?:  #   .*\n)+", text)
    assert keys is not None
    text = text.replace(keys[0], re.sub(r"^  # ", "  ", keys[0], flags=re.MULTILINE))
    (tmp_path / "clients").mkdir()
    text = text.replace("keys/clients", str(tmp_path / "clients"))
    path = tmp_path / "site.yaml"
    path.write_text(secrets_in(text, tmp_path, monkeypatch))
    site = load_config(path)
    assert [bridge.type for bridge in site.bridges] == ["mqtt", "webhook", "nats"]
    assert site.bus.keys is not None
