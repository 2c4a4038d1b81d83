"""All commands, in the order in which --help lists them."""

# isort: off
from keifu.cli import training, using, listing
from keifu.cli.app import app

__all__ = ["app", "listing", "training", "using"]
