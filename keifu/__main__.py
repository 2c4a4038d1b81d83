"""`python -m keifu` is the command line."""

from keifu.cli import main

main()
