"""What was finished survives; what is torn, foreign or somebody else's is not used."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from wsi_pipeline.errors import ResultBusyError
from wsi_pipeline.run.checkpoint import Checkpoint, partial_folder

KEYS = ({"slide": "s1", "plan": "p1"}, {"slide": "s1", "plan": "p2"}, {"slide": "s2", "plan": "p1"})
TILES = 5
indices = st.integers(0, 3)


def values(seed: int) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).random(TILES).astype(np.float32)
    made[seed % TILES] = np.nan
    return made


class CheckpointMachine(RuleBasedStateMachine):
    """Runs that are killed, torn, restarted with other settings; against a plain dictionary."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.final = self.root / "a.zarr"
        self.open: Checkpoint | None = None
        self.key = KEYS[0]
        self.kept: dict[int, NDArray[np.float32]] = {}

    def teardown(self) -> None:
        if self.open is not None:
            self.open.__exit__()
        shutil.rmtree(self.root, ignore_errors=True)

    @precondition(lambda self: self.open is None)
    @rule(key=st.sampled_from(KEYS))
    def start(self, key: dict[str, str]) -> None:
        self.open = Checkpoint(self.final, key)
        self.open.__enter__()
        if key != self.key:
            self.kept.clear()
            self.key = key
        assert not self.open.store.exists()

    @precondition(lambda self: self.open is not None)
    @rule(index=indices, seed=st.integers(0, 99))
    def save(self, index: int, seed: int) -> None:
        assert self.open is not None
        self.open.save(index, values(seed))
        self.kept[index] = values(seed)

    @precondition(lambda self: self.open is not None)
    @rule()
    def write_some_store(self) -> None:
        assert self.open is not None
        (self.open.store / "deep").mkdir(parents=True, exist_ok=True)

    @precondition(lambda self: self.open is not None)
    @rule()
    def stop(self) -> None:
        assert self.open is not None
        self.open.__exit__()
        self.open = None

    @precondition(lambda self: self.open is not None)
    @rule()
    def finish(self) -> None:
        assert self.open is not None
        self.open.discard()
        self.open.__exit__()
        self.open = None
        self.kept.clear()
        assert list(self.root.iterdir()) == []

    @precondition(lambda self: self.open is None and self.kept)
    @rule(data=st.data())
    def tear(self, data: st.DataObject) -> None:
        """A file loses its end, or a bit flips."""
        index = data.draw(st.sampled_from(sorted(self.kept)))
        path = partial_folder(self.final) / f"region-{index:06d}"
        whole = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
        else:
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(whole)
        del self.kept[index]

    @precondition(lambda self: self.open is None and partial_folder(self.final).exists())
    @rule(index=indices)
    def killed_while_saving(self, index: int) -> None:
        """A temporary file is left behind."""
        (partial_folder(self.final) / f"region-{index:06d}.new").write_bytes(b"half")

    @precondition(lambda self: self.open is not None)
    @rule()
    def a_second_run_is_kept_away(self) -> None:
        with pytest.raises(ResultBusyError), Checkpoint(self.final, KEYS[2]):
            pass

    @invariant()
    def what_is_kept_is_what_was_saved(self) -> None:
        if getattr(self, "open", None) is None:
            return
        assert self.open is not None
        for index in range(4):
            loaded = self.open.load(index, TILES)
            if index in self.kept:
                assert loaded is not None
                assert loaded.tobytes() == self.kept[index].tobytes()
            else:
                assert loaded is None


TestCheckpointMachine = CheckpointMachine.TestCase
TestCheckpointMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_region_of_another_length_is_not_used(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "a.zarr", KEYS[0]) as checkpoint:
        checkpoint.save(0, values(1))
        assert checkpoint.load(0, TILES + 1) is None
        loaded = checkpoint.load(0, TILES)
        assert loaded is not None
        loaded[:] = 0  # it is the caller's own
        assert checkpoint.load(0, TILES) is not None


def test_the_folder_is_hidden_beside_the_result(tmp_path: Path) -> None:
    assert partial_folder(tmp_path / "a.zarr") == tmp_path / ".a.zarr.partial"
