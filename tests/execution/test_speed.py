import pytest

from novelty_dask.execution import speed


def test_the_speed_is_that_beside_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose trials take a hundred times the time this one is a hundred times as fast."""
    here = speed.measure_speed()
    assert 0.01 < here < 100
    monkeypatch.setattr(speed, "REFERENCE_SECONDS", 100 * speed.REFERENCE_SECONDS)
    assert speed.measure_speed() > 10 * here
