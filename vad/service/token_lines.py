"""``vad tokens``: what is said about the tokens of the HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vad.config import SiteConfig
from vad.service import tokens


def make_token(file: Path, name: str, role: str) -> Iterator[str]:
    """Make a token; the token itself, then what to do with it, line by line."""
    is_new = not file.exists()
    made, secret = tokens.new_token(file, name, role)
    yield secret
    yield f"the token of {made.name}, {made.role.name.lower()}: shown this once; {file} keeps its hash alone"
    if is_new:
        yield "for the site file:"
        yield f"http: {{tokens: {file}}}"
    yield "curl -H 'Authorization: Bearer TOKEN' http://HOST:8590/api/v1/status"


def list_tokens(file: Path) -> Iterator[str]:
    known = sorted(tokens.load_tokens(file).values(), key=lambda token: (token.revoked is not None, token.name))
    for token in known:
        word, since = ("good", f"made {token.made}") if token.revoked is None else ("revoked", f"on {token.revoked}")
        yield f"{word:<8} {token.role.name.lower():<8} {token.id}  {token.name}  {since}"
    if not known:
        yield f"there is no token in {file}"


def site_lines(site: SiteConfig) -> Iterator[str]:
    """What ``vad check`` says about who may use API and console. Raises TokenFileError as ``vad run`` would."""
    if site.http.tokens is not None:
        good = [token.name for token in tokens.load_tokens(site.http.tokens).values() if token.revoked is None]
        yield f"http: who may use API and console: {', '.join(sorted(good)) or 'nobody'}"
    elif site.http.bind and not site.http.is_loopback:
        yield f"http: API and console are shut: {site.http.bind} is reached by others and http.tokens names no file"


def revoke_token(file: Path, name: str) -> Iterator[str]:
    gone = tokens.revoke_token(file, name)
    yield f"{gone.name} ({gone.id}) is let in no more; an engine that runs knows within a second"
