"""The checks of the models at their full counts: 30 random configurations a model, 20 against the reference.

    python tests/long/models.py [pytest options]

They are the same tests as in `make test`, with more seeds.
"""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["KEIFU_CONFIGURATIONS"] = "30"
    root = Path(__file__).parents[2]
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.exit(pytest.main(["tests/properties", "tests/reference", "tests/generation", *sys.argv[1:]]))
