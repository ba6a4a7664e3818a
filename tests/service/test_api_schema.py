"""The OpenAPI document against the server that it describes: schemathesis, with all of its checks.

Its seed is always the same, so that whether a change lands is no matter of luck. VAD_FUZZ_SEED=NUMBER takes another;
a few from time to time find what the usual one does not:

    for seed in 1 2 3; do VAD_FUZZ_SEED=$seed python -m pytest tests/service/test_api_schema.py; done
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.service.serving import Service, serve
from tests.service.test_api import CLIP, HISTORY, incident
from vad.service.api.openapi import WORDS
from vad.service.api.requests import EXAMPLE_INCIDENT

CONFIG = Path(__file__).with_name("schemathesis.toml")
SEED = os.environ.get("VAD_FUZZ_SEED", "20261122")
ASKED = {
    "admin": ["--max-time", "50"],
    "operator": ["--max-time", "20", "--include-method", "PUT", "--include-method", "PATCH"],
    "viewer": ["--max-time", "20", "--include-method", "GET", "--phases", "examples,coverage"],
}
"""What each role tries; an admin everything. Time is for all of a run."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Service]:
    camera = {"url": str(footage), "loop": True}
    storage = tmp_path_factory.mktemp("storage")
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr("vad.service.api.gate.FAILURES_AT_ONCE", 1_000_000)  # it tries many tokens that are none
        cameras = {"cam1": camera, "entrance": camera}
        events = [*HISTORY, *incident(EXAMPLE_INCIDENT)]
        with serve(storage, cameras, events=events, with_tokens=True, rate_per_s=100_000) as service:
            service.engine.evidence.put("cam1", EXAMPLE_INCIDENT, {"clip.mp4": CLIP, "evidence.json": b"{}"})
            yield service


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    answer = service.client("viewer").get("openapi.json")
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_does_and_how_it_can_fail(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        responses = operation["responses"]
        assert {"401", "403", "429", "500", "503"} <= set(responses), name
        for status, response in responses.items():
            assert response["description"], (name, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)
        if "requestBody" in operation:
            assert {"400", "408", "413", "415", "422"} <= set(responses), name
    assert set(document["components"]["securitySchemes"]) == {"bearer", "session"}


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body that is JSON or text: where, its status (or "request"), its media type's object."""
    for name, operation in operations(document):
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for status, body in {**bodies, **operation["responses"]}.items():
            for media_type, content in body.get("content", {}).items():
                if "json" in media_type or media_type.startswith("text/"):
                    yield f"{name} {status} {media_type}", status, content


def test_every_body_has_an_example_that_is_valid(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    seen = set()
    for where, status, content in contents(document):
        schema = content["schema"]
        named = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
        example = content.get("example", named.get("example"))
        assert example, where
        validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
        validator.validate(example)
        assert "properties" not in named or set(example) <= set(named["properties"]), where
        seen.add(status)
        if status.isdigit() and int(status) >= 400:
            assert example["status"] == int(status), where
    assert {"request", "200", "201", "206", *map(str, WORDS)} - {"406"} == seen


def test_examples_of_schemas_are_valid(document: dict[str, Any]) -> None:
    found = {
        name: schema["example"] for name, schema in document["components"]["schemas"].items() if "example" in schema
    }
    assert {"Event", "Problem", "Camera", "IncidentRow", "NewCamera"} <= set(found)
    for name, example in found.items():
        whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(example)


@pytest.mark.slow
@pytest.mark.parametrize("role", ASKED)
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path, role: str) -> None:
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["--config-file", str(CONFIG), "run", f"{service.address}/api/v1/openapi.json"]
    command += ["--url", f"{service.address}/api/v1", "--header", f"Authorization: Bearer {service.tokens[role]}"]
    command += ["--seed", SEED, "--checks", "all", "--max-examples", "10", "--no-shrink", *ASKED[role]]
    command += ["--continue-on-failure", "--no-color", "--generation-database", "none"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
