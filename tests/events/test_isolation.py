"""A consumer of events needs pyzmq and msgspec alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SCRIPT = textwrap.dedent(
    """
    import sys
    from importlib.machinery import PathFinder

    ALLOWED = {"vad", "zmq", "msgspec"}

    class OnlyThose:
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top in ALLOWED or top in sys.stdlib_module_names:
                return None
            spec = PathFinder.find_spec(name, path)
            if spec is not None and "site-packages" in str(spec.origin or spec.submodule_search_locations):
                raise ModuleNotFoundError(f"{name} is not installed here", name=name)
            return None

    sys.meta_path.insert(0, OnlyThose())
    for refused in ("numpy", "torch", "numba", "pydantic", "structlog"):
        try:
            __import__(refused)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"the hook lets {refused} in")

    from vad.events import Subscriber, decode, json_schema, read_journal

    json_schema()
    with Subscriber("tcp://127.0.0.1:1") as subscriber:
        assert subscriber.receive(0.01) is None
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"numpy", "torch", "numba", "pydantic", "structlog", "yaml"}, loaded
    print("fine")
    """
)


def test_events_can_be_imported_and_used_with_pyzmq_and_msgspec_alone() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "fine"
