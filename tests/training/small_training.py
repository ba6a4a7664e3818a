"""``vad train`` in the small, as a process to be killed: arguments DATASET OUT."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from vad.errors import VadError
from vad.service.train import run_training
from vad.training.train import Amounts, TrainOptions

AMOUNTS = Amounts(footage=2, collages=1, scenes=1, held_out=2, epoch=3, checkpoint=2)
EPOCHS = 2


def options(dataset: Path, out: Path) -> TrainOptions:
    return TrainOptions(dataset=dataset, out=out, epochs=EPOCHS, device="cpu", amounts=AMOUNTS)


def main() -> int:
    dataset, out = Path(sys.argv[1]), Path(sys.argv[2])
    console = Console(stderr=True)
    try:
        card = run_training(options(dataset, out), resume=False, console=console)
    except VadError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    return 130 if card is None else 0


if __name__ == "__main__":
    sys.exit(main())
