"""What the HTML reports share: one file, no network, light and dark, pictures inside."""

from __future__ import annotations

import base64
import html

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.errors import VadError

JPEG_QUALITY = 80
STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --quiet: #5f6b7a; --rule: #d5dae1;
  --line: #1769aa; --limit: #77808c; --bad: #c62828; --band: #c6282826; --second: #a15c00; --good: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e7eb; --quiet: #9aa5b1; --rule: #343b44;
  --line: #6cb4ee; --limit: #98a2ae; --bad: #ff7b72; --band: #ff7b7230; --second: #f0a94b; --good: #7ccf83; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--quiet); }
.curve { fill: none; stroke: var(--line); stroke-width: 1.2; stroke-linejoin: round; }
.limit { fill: none; stroke: var(--limit); stroke-dasharray: 4 3; }
.band { fill: var(--band); } .learning { fill: #8a8a8a22; }
.incidents { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; border-radius: 4px; display: block; } .error { color: var(--bad); }
figcaption, .quiet { color: var(--quiet); }
"""


def page(title: str, body: str, *, style: str = "") -> str:
    """A whole document. ``body`` is HTML, ``title`` is text."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style>{body}</html>"
    )


def image(picture: NDArray[np.uint8], *, alt: str) -> str:
    """An ``img`` with the picture (height, width, 3) BGR inside, as JPEG. Raises VadError."""
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise VadError("OpenCV could not encode a picture of the report")
    source = base64.b64encode(data.tobytes()).decode()
    return f"<img alt='{html.escape(alt, quote=True)}' src='data:image/jpeg;base64,{source}'>"
