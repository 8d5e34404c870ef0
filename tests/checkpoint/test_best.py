import pytest

from tsmtl.checkpoint import best
from tsmtl.checkpoint.best import BestCheckpoint


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(best, "time", clock)
    return clock


@pytest.fixture
def written(monkeypatch) -> list[int]:
    """Collect the epochs that are written, instead of writing them."""
    epochs: list[int] = []
    monkeypatch.setattr(best, "write_checkpoint", lambda path, content: epochs.append(content["epoch"]))
    return epochs


def test_the_first_best_is_written_at_once(tmp_path, clock, written):
    checkpoint = BestCheckpoint(tmp_path / "best.pt")
    checkpoint.tick()
    assert written == []
    checkpoint.offer({"epoch": 1})
    checkpoint.tick()
    assert written == [1]


def test_later_ones_are_written_once_per_interval_and_the_newest_wins(tmp_path, clock, written, monkeypatch):
    monkeypatch.setattr(best, "INTERVAL", 10.0)
    checkpoint = BestCheckpoint(tmp_path / "best.pt")
    for epoch in range(1, 36):  # an epoch takes a second, each is better than all before
        checkpoint.offer({"epoch": epoch})
        checkpoint.tick()
        clock.now += 1
    assert written == [1, 11, 21, 31]
    checkpoint.finish()
    assert written == [1, 11, 21, 31, 35]


def test_a_pending_best_is_written_when_its_time_comes_though_no_better_one_follows(tmp_path, clock, written):
    checkpoint = BestCheckpoint(tmp_path / "best.pt")
    for epoch in (1, 2):
        checkpoint.offer({"epoch": epoch})
        checkpoint.tick()
    assert written == [1]
    clock.now += best.INTERVAL
    checkpoint.tick()
    assert written == [1, 2]


def test_nothing_is_written_twice(tmp_path, clock, written):
    checkpoint = BestCheckpoint(tmp_path / "best.pt")
    checkpoint.finish()
    assert written == []
    checkpoint.offer({"epoch": 1})
    checkpoint.tick()
    clock.now += 100
    checkpoint.tick()
    checkpoint.finish()
    assert written == [1]


def test_a_best_that_could_not_be_written_stays_pending(tmp_path, clock, monkeypatch):
    attempts = []

    def write(path, content):
        attempts.append(content["epoch"])
        if len(attempts) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(best, "write_checkpoint", write)
    checkpoint = BestCheckpoint(tmp_path / "best.pt")
    checkpoint.offer({"epoch": 1})
    with pytest.raises(OSError, match="No space"):
        checkpoint.tick()
    checkpoint.finish()
    assert attempts == [1, 1]
