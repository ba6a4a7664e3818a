"""The ``vad`` command: one short function a command, heavy imports inside, so that ``vad --help`` is quick.

Exit status: 0 fine, 1 the work failed or an anomaly was missed, 2 the command or the configuration is wrong,
130 interrupted.
"""

from __future__ import annotations

import sys

import typer
from setproctitle import setproctitle

from vad.cli.about import schema, version
from vad.cli.footage import annotate, calibrate, evaluate, scan, train
from vad.cli.keys import keys
from vad.cli.live import check, demo, events, probe, run
from vad.cli.terminal import say
from vad.cli.tokens import tokens
from vad.config import redact_url
from vad.errors import ConfigError, VadError

app = typer.Typer(
    name="vad",
    help="Real-time video anomaly detection: cameras in, anomaly events out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (run, demo, scan, evaluate, annotate, train, calibrate, events, probe, check, schema, version):
    app.command()(command)
app.add_typer(keys, name="keys")
app.add_typer(tokens, name="tokens")


def main() -> None:
    """Run the command; a user's mistake ends in a message, never in a traceback."""
    setproctitle(" ".join(["vad", *map(redact_url, sys.argv[1:])]))  # a URL's password must not show in `ps`
    try:
        app()
    except ConfigError as exc:
        say(f"vad: {exc}")
        sys.exit(2)
    except VadError as exc:
        say(f"vad: {exc}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
