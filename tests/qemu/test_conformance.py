# SPDX-License-Identifier: MIT
"""The answers of the ABI, beside those that Xen 4.17 gave when they were recorded.

`make oracle` asks Xen itself. What tarn answers otherwise on purpose is in tests/oracle/deviations.txt.
"""
import pathlib

import pytest

import oracle
import tarn


@pytest.mark.parametrize("run", sorted(oracle.RECORDED))
def test_as_xen(run, capsys, monkeypatch):
    build = pathlib.Path(tarn.BUILD)
    monkeypatch.setattr(oracle, "OUT", build)
    lines, end = oracle.boot(build / "tarn.elf32", run, oracle.RUNS[run][1], 90 * tarn.SCALE)
    assert end == "ok", "\n".join(lines[-20:])
    wrong = oracle.compare(run, oracle.read_recorded()[run], lines, oracle.read_deviations())
    assert wrong == 0, capsys.readouterr().out
