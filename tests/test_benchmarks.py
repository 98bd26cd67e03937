"""The benchmarks run, and say what they promise to say; the figures themselves are for a quiet machine."""

from __future__ import annotations

from benchmarks import api_layer


def test_the_api_layer() -> None:
    results = api_layer.run(rounds=1, calls=1)
    assert results["openapi calls"] == 0
    assert results["python calls per request"] > 100
    for name, values in results["requests"].items():
        assert all(values[way] > 0 for way in api_layer.WAYS), name
    # Without an account a read is one statement; who it is takes another.
    reads = [values["statements"] for name, values in results["requests"].items() if name.startswith("GET")]
    assert reads == [1, 2, 1, 1]
    assert set(results["goals"]) <= set(results["parts"])
    assert "whole/bare" in api_layer.table(results)
