"""``vad train``: the training under signals, with its progress shown."""

from __future__ import annotations

from rich.console import Console

from vad.model.weights import Card
from vad.service.progress import ProgressDisplay
from vad.training.interrupt import stop_on_signals
from vad.training.train import Step, TrainOptions, train


def run_training(options: TrainOptions, *, resume: bool, console: Console) -> Card | None:
    """The card of what was trained; None when interrupted, and then it is said how to go on. Raises VadError."""
    with stop_on_signals() as should_stop, ProgressDisplay(console) as display:
        first_frames = 0  # of the first batch: the clock starts behind it

        def tell(step: Step) -> None:
            nonlocal first_frames
            said = ""
            if step.loss is not None:
                first_frames = first_frames or step.frames
                frames_per_s = (step.frames - first_frames) / max(display.phase_s(), 1e-3)
                said = f"loss {step.loss:.3f}  {frames_per_s:.0f} frames/s"
            display.update(step.phase, step.done, step.total, said)

        card = train(options, resume=resume, tell=tell, should_stop=should_stop)
    if card is None:
        kept = options.checkpoint.exists()
        where = f"the checkpoint {options.checkpoint} is written" if kept else "nothing had been trained yet"
        how = "the same command with --resume goes on from there" if kept else "the same command begins anew"
        console.print(f"interrupted: {where}; {how}", highlight=False, markup=False, soft_wrap=True)
    return card


def print_card(card: Card, *, console: Console) -> None:
    """The measures on held-out normal footage."""
    held_out = card.metrics.get("held_out", {})
    names = {
        "flow_error_px": "flow error",
        "speed_correlation": "speed correlation",
        "moving_iou": "moving found (IoU)",
    }
    said = ", ".join(f"{name} {held_out[key]}" for key, name in names.items() if key in held_out)
    console.print(f"trained on {card.trained_on}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"on held-out normal footage: {said or 'nothing to measure'}", highlight=False, soft_wrap=True)
