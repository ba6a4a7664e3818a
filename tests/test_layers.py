"""Imports run downward only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "vad"

LAYERS = (
    {"types", "errors", "clock", "site_yaml", "atomic"},
    {"config"},
    {"log"},
    {"video", "model", "scoring", "events"},
    {"pipeline", "training"},
    {"evaluation"},
    {"service"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vad":
            names = [node.module] if node.module != "vad" else [f"vad.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "vad"]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if "." in name}
    return parts & RANK.keys()


MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_layers_below(path: Path) -> None:
    part = part_of(path)
    assert part in RANK, f"{part} has no place in the layers"
    wrong = {other for other in imported_parts(path) if other != part and RANK[other] >= RANK[part]}
    same_base_layer = {other for other in wrong if RANK[other] == RANK[part] == 0}
    assert wrong - same_base_layer == set()


def test_only_the_pipeline_the_http_server_and_the_end_of_a_context_start_threads() -> None:
    starters = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if "threading.Thread(" in path.read_text() or "ThreadPoolExecutor(" in path.read_text()
    }
    assert {part for part in starters if not part.startswith("pipeline/")} == {"service/http.py", "events/sockets.py"}


def test_importing_vad_loads_neither_torch_nor_numba() -> None:
    code = (
        "import sys, vad; vad.Stage; vad.load_config; print(sorted({'torch', 'numba', 'av', 'cv2'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import vad

    for name in vad.__all__:
        assert getattr(vad, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vad.nonsense  # noqa: B018


def test_weights_load_without_the_compiler_of_torch() -> None:
    """It takes seconds and 70 MB."""
    code = "import sys; from vad.model.weights import load_weights as load; load('base'); print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'torch.nn'" in run.stdout
    assert "torch._dynamo" not in run.stdout
