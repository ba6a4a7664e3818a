"""Clips -> cell maps: the network, its weights, and the runner that carries each camera's state."""

from vad.model.making import AnyRunner, make_runner
from vad.model.runner import Runner
from vad.model.weights import Card, Weights, load_weights, save_weights

__all__ = ["AnyRunner", "Card", "Runner", "Weights", "load_weights", "make_runner", "save_weights"]
