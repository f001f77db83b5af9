"""Verdicts of the tables that the benchmarks print."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "harness.py"


@pytest.fixture
def harness() -> ModuleType:
    if not PATH.exists():
        pytest.skip("the benchmarks are in a checkout only")
    spec = importlib.util.spec_from_file_location("benchmark_harness", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [
        (0.9, False, "yes"),
        (1.0, False, "yes"),
        (1.1, False, "NO"),
        (-0.1, False, "NOISE"),
        (1.1, True, "yes"),
        (0.9, True, "NO"),
        (-0.1, True, "NOISE"),
    ],
)
def test_verdict_of_a_negative_figure_is_noise(
    harness: ModuleType, value: float, at_least: bool, verdict: str
) -> None:
    row = harness.Row("figure", "baseline", value, "x", 1.0, at_least)

    assert row.verdict == verdict


def test_rows_of_rounds_have_their_median_and_spread(
    harness: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = harness.Rounds([1.0, 2.0, 1.0], [1.5, 2.0, 0.7])
    ratio = rounds.ratio("ratio", "baseline", 0.9)
    difference = rounds.difference("more", "baseline", units=1e3, unit="ms", goal=100)

    harness.show([ratio, difference])

    assert (ratio.value, ratio.spread) == (1.0, (0.7, 1.5))
    assert (difference.value, difference.spread) == (0.0, pytest.approx((-300, 500)))
    printed = capsys.readouterr().out.splitlines()
    assert "1 x [0.7..1.5]" in printed[1]
    assert printed[1].endswith("NO")
    assert "0 ms [-300..500]" in printed[2]


def test_runs_alternate_their_order_and_the_first_round_is_not_counted(
    harness: ModuleType,
) -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return len(order)

    rounds = harness.in_turns(lambda: run("theirs"), lambda: run("ours"), 2)

    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert (rounds.baseline, rounds.ours) == ([3, 6], [4, 5])
