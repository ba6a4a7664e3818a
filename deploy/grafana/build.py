"""Write the dashboards of ``deploy/grafana/dashboards``: for an operator by day and whoever is on duty at night.

    pip install 'vad[dashboards]'
    python deploy/grafana/build.py [--check]

``--check`` writes nothing and ends with 1 if a file is not what this would write.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from camera import CAMERA
from engine import ENGINE
from fleet import FLEET
from grafana_foundation_sdk.cog.encoder import JSONEncoder

FOLDER = Path(__file__).parent / "dashboards"


def completed(board: dict[str, Any]) -> dict[str, Any]:
    """With what Grafana's Prometheus source reads of an annotation and the SDK has no word for."""
    for annotation in board["annotations"].get("list", []):
        annotation.update(step="5s", titleFormat="incident on {{camera}}")
    return board


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if something would change")
    options = parser.parse_args()
    stale = []
    for board in (FLEET, CAMERA, ENGINE):
        built = board.build()
        path = FOLDER / f"{built.uid}.json"
        text = json.dumps(completed(json.loads(JSONEncoder().encode(built))), sort_keys=True, indent=2) + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not options.check:
                path.write_text(text)
    if options.check and stale:
        print(f"not what build.py writes: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
