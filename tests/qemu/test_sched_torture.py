# SPDX-License-Identifier: MIT
"""The torturer at work for a short while, on a few CPUs and on many; `make torture` has it go on for long."""
import pytest

from lab import FULL
from torture import torture


@pytest.mark.parametrize("cpus", [8, 64])
def test_torture(cpus):
    torture(cpus, seed=1, n=10000 if FULL else 300, shift=0 if FULL else 2)
