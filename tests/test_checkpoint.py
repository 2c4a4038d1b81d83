"""A checkpoint is whole or not there: whatever fails, fills up, is killed or is damaged on the way."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.checkpoint import (
    RunFolder,
    TrainingState,
    load_model_files,
    load_tensors,
    load_training_state,
    resolve,
    save_tensors,
    verify,
    write_atomically,
)
from keifu.errors import CheckpointError, ConfigError
from tests.counts import Record, repeats
from tests.faults import at_call, damage, disk_full, in_child

FILES = ["config.json", "model.safetensors", "optimizer.safetensors", "tokenizer.json", "training.json"]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run")


def model(step: int) -> dict[str, Tensor]:
    return {"embed.weight": torch.full((4, 3), float(step)), "bias": torch.arange(3.0) + step}


def save(run: RunFolder, step: int, keep: int = 2) -> Path:
    state = TrainingState({"moment": torch.full((4, 3), step / 7)}, {"step": step, "best": 0.1 * step})
    return run.save(step, {"name": "flat", "step": step}, model(step), '{"words": ["あ"]}', state, keep)


def assert_whole(folder: Path) -> int:
    """The folder holds exactly what `save` gave it; returns its step."""
    assert verify(folder) == []
    config, tensors, tokenizer = load_model_files(folder)
    step = int(config["step"])
    assert all(torch.equal(tensors[name], value) for name, value in model(step).items())
    assert tensors.keys() == model(step).keys()
    assert tokenizer is not None
    assert tokenizer.read_text(encoding="utf-8") == '{"words": ["あ"]}'
    state = load_training_state(folder)
    assert state.values == {"step": step, "best": 0.1 * step}
    assert torch.equal(state.tensors["moment"], torch.full((4, 3), step / 7))
    return step


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_no_strays(run: RunFolder) -> None:
    assert set(names(run.path)) <= {".lock", "best", "checkpoints", "last", "samples"}
    assert all(name.startswith("step-") for name in names(run.checkpoints_path))
    assert names(run.path / "samples") == []


# ---- one save ----------------------------------------------------------------------------------------------


def test_a_checkpoint_is_a_complete_model_folder_with_its_training_state(run: RunFolder) -> None:
    folder = save(run, 3)
    assert folder == run.path / "checkpoints" / "step-3"
    assert names(folder) == ["checksums.json", *FILES]
    assert assert_whole(folder) == 3
    assert json.loads((folder / "config.json").read_text()) == {"name": "flat", "step": 3}
    assert os.readlink(run.path / "last") == "checkpoints/step-3"
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1  # nothing readable by the owner only
    assert_no_strays(run)


def test_a_run_can_be_moved(run: RunFolder, tmp_path: Path) -> None:
    save(run, 1)
    run.point("best", 1)
    run.path.rename(tmp_path / "elsewhere")
    assert assert_whole(tmp_path / "elsewhere" / "best") == 1
    assert assert_whole(resolve(tmp_path / "elsewhere")) == 1


def test_a_run_that_was_copied_without_links_goes_on(run: RunFolder, tmp_path: Path) -> None:
    save(run, 1)
    run.point("best", 1)
    shutil.copytree(run.path, tmp_path / "copy")
    copied = RunFolder.open(tmp_path / "copy")
    assert not (copied.path / "last").is_symlink()
    save(copied, 2)
    copied.point("best", 2)
    assert assert_whole(copied.path / "last") == assert_whole(copied.path / "best") == 2
    assert_no_strays(copied)


def test_a_file_system_without_links_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    with pytest.raises(ConfigError, match="Operation not permitted"):
        RunFolder.create(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_only_best_last_and_the_newest_stay(run: RunFolder) -> None:
    for step in range(1, 13):
        save(run, step, keep=2)
        if step == 2:
            run.point("best", 2)
    assert [folder.name for folder in run.checkpoints()] == ["step-12", "step-11", "step-2"]
    run.point("best", 12)
    run.point("last", 11)
    run.prune(keep=0)
    assert [folder.name for folder in run.checkpoints()] == ["step-12", "step-11"]
    assert_no_strays(run)


def test_the_same_step_can_be_saved_again(run: RunFolder) -> None:
    save(run, 5)
    state = TrainingState({}, {"again": True})
    folder = run.save(5, {}, {}, None, state)
    assert load_training_state(folder).values == {"again": True}
    assert load_model_files(folder) == ({}, {}, None)
    assert_no_strays(run)


def test_every_kind_of_tensor_returns_equal(tmp_path: Path) -> None:
    base = torch.randn(6, 8)
    tensors = {
        "transposed": base.T,
        "row": base[2],
        "another row": base[3],
        "columns": base[:, 2:4],
        "expanded": torch.ones(1, 3).expand(4, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(3).bfloat16(),
        "step": torch.tensor(2**40),
        "random": torch.get_rng_state(),
        "mask": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    save_tensors(tmp_path / "t.safetensors", tensors)
    loaded = load_tensors(tmp_path / "t.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert all(loaded[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_a_tied_weight_given_twice_is_a_programmers_mistake(run: RunFolder) -> None:
    weight = torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="share memory"):
        run.save(1, {}, {"a": weight, "b": weight}, None, TrainingState({}, {}))
    assert_no_strays(run)


# ---- the run folder ----------------------------------------------------------------------------------------


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty; name another one with --out, or continue its run"):
        RunFolder.create(tmp_path)
    with pytest.raises(ConfigError, match="cannot make a folder here: Not a directory"):
        RunFolder.create(tmp_path / "notes.txt")
    with pytest.raises(ConfigError, match="cannot make a folder here: Not a directory"):
        RunFolder.create(tmp_path / "notes.txt" / "run")
    RunFolder.refuse_used(tmp_path / "new")
    assert names(tmp_path) == ["notes.txt"]


def test_a_folder_that_cannot_be_made_whole_is_not_there(tmp_path: Path) -> None:
    with at_call(0, disk_full) as seen:
        RunFolder.create(tmp_path / "whole")
    for number in range(1, len(seen) + 1):
        with at_call(number, disk_full), pytest.raises(ConfigError, match="cannot make a folder here: No space left"):
            RunFolder.create(tmp_path / "run")
        assert names(tmp_path) == ["whole"]
    RunFolder.create(tmp_path / "run")


def test_only_a_run_folder_opens(run: RunFolder, tmp_path: Path) -> None:
    assert RunFolder.open(str(run.path)).path == run.path
    with pytest.raises(CheckpointError, match="no such folder; expected a run folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no folder checkpoints in it; expected a run folder"):
        RunFolder.open(tmp_path)


def test_a_run_means_its_best_model_then_its_last(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        resolve(run.path)
    save(run, 1)
    save(run, 2)
    assert resolve(run.path) == run.checkpoints_path / "step-2"
    run.point("best", 1)
    assert resolve(str(run.path)) == run.checkpoints_path / "step-1"
    assert resolve(run.checkpoints_path / "step-2") == run.checkpoints_path / "step-2"
    shutil.rmtree(run.checkpoints_path / "step-1")  # leaves `best` hanging
    assert resolve(run.path) == run.checkpoints_path / "step-2"

    shutil.copytree(run.checkpoints_path / "step-2", tmp_path / "exported")
    for name in ("checksums.json", "optimizer.safetensors", "training.json"):
        (tmp_path / "exported" / name).unlink()
    assert resolve(tmp_path / "exported") == tmp_path / "exported"
    assert verify(tmp_path / "exported") == []
    with pytest.raises(CheckpointError, match="model without training state; train from it with --init"):
        load_training_state(tmp_path / "exported")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_what_is_no_model_is_refused_and_told_what_is(run: RunFolder, tmp_path: Path, missing: str) -> None:
    folder = save(run, 1)
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match="neither a run nor a model folder; a model folder has"):
        resolve(folder)
    with pytest.raises(CheckpointError, match="no such folder; expected a run folder, one of its"):
        resolve(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no such folder"):
        resolve("x" * 5000)
    with pytest.raises(CheckpointError, match="a file; expected a run folder"):
        resolve(folder / "training.json")


# ---- order on the disk -------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls that matter: ("fsync", name, size), ("rename", from, to), ("delete", name), in order."""
    trace: list[tuple[str, ...]] = []

    def spy(module: Any, name: str, entry: Callable[..., tuple[str, ...]]) -> None:
        original = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            trace.append(entry(*args))
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    def synced(descriptor: int) -> tuple[str, ...]:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        return "fsync", path.name, str(path.stat().st_size if path.is_file() else 0)

    spy(os, "fsync", synced)
    spy(os, "rename", lambda old, new: ("rename", Path(old).name, Path(new).name))
    spy(os, "replace", lambda old, new: ("rename", Path(old).name, Path(new).name))
    spy(os, "unlink", lambda path, **_: ("delete", Path(path).name))
    spy(shutil, "rmtree", lambda path, *_: ("delete", Path(path).name))
    return trace


def test_a_save_writes_syncs_renames_syncs_and_only_then_deletes(run: RunFolder, calls: list[tuple[str, ...]]) -> None:
    save(run, 1)
    save(run, 2, keep=2)
    calls.clear()
    folder = save(run, 3, keep=1)
    committed = calls.index(("rename", ".step-3.partial", "step-3"))
    before, after = calls[:committed], [call[:2] for call in calls[committed + 1 :]]
    synced = {call[1]: int(call[2]) for call in before if call[0] == "fsync"}
    assert synced == {".step-3.partial": 0} | {path.name: path.stat().st_size for path in folder.iterdir()}
    assert len(before) == len(synced)  # nothing else was renamed or deleted
    assert before[-1][:2] == ("fsync", ".step-3.partial")
    leavings = (("delete", ".last.partial"), ("delete", ".step-3.partial"))  # in case a crash left some
    after = [call for call in after if call not in leavings]
    assert after[:3] == [("fsync", "checkpoints"), ("rename", ".last.partial"), ("fsync", "run")]
    assert [call for call in after[3:] if "step-" in call[1]] == [
        ("rename", "step-2"),
        ("delete", ".step-2.deleted.partial"),
        ("rename", "step-1"),
        ("delete", ".step-1.deleted.partial"),
    ]


def test_a_step_saved_again_replaces_the_old_one_only_when_it_is_on_the_disk(
    run: RunFolder, calls: list[tuple[str, ...]]
) -> None:
    save(run, 1)
    calls.clear()
    save(run, 1)
    last_sync = calls.index(("fsync", "checkpoints", "0"))
    assert calls.index(("rename", ".step-1.partial", "step-1")) < last_sync
    assert last_sync < calls.index(("delete", ".step-1.replaced"))


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    write_atomically(tmp_path / "data.json", "あ")
    hidden = calls[0][1]
    assert hidden.startswith(".data.json.")
    assert calls[:2] == [("fsync", hidden, "3"), ("rename", hidden, "data.json")]
    assert calls[2][:2] == ("fsync", tmp_path.name)
    assert (tmp_path / "data.json").read_text(encoding="utf-8") == "あ"


# ---- a failing disk ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2], ids=["same step again", "next step"])
def test_a_write_that_fails_anywhere_in_a_save_changes_nothing(
    step: int, tmp_path: Path, record_property: Record
) -> None:
    with at_call(0, disk_full) as seen:
        run = RunFolder.create(tmp_path / "run-0")
        save(run, 1)
        before = len(seen)
        save(run, step)
    points = len(seen) - before
    assert points >= 14
    record_property("failing writes", points)
    for number in range(1, points + 1):
        run = RunFolder.create(tmp_path / f"run-{number}")
        save(run, 1)
        old = {path.name: path.read_bytes() for path in (run.checkpoints_path / "step-1").iterdir()}
        with at_call(number, disk_full) as seen, pytest.raises(CheckpointError) as caught:
            save(run, step)
        message = str(caught.value)
        assert "the disk is full: 0.0 MB are needed, " in message
        assert "\n" not in message
        assert_no_strays(run)
        assert {path.name: path.read_bytes() for path in (run.checkpoints_path / "step-1").iterdir()} == old
        assert assert_whole(run.path / "last") in ((1, step) if seen[-2:] == ["replace", "fsync"] else (1,))
        committed = [folder.name for folder in run.checkpoints()]
        assert committed == ["step-1"] or (committed == ["step-2", "step-1"] and "symlink" in seen)
        assert all(assert_whole(folder) for folder in run.checkpoints())
        assert assert_whole(save(run, 9)) == 9  # there is room again


def test_a_link_or_a_file_that_cannot_be_written_leaves_the_old_one(run: RunFolder) -> None:
    save(run, 1)
    save(run, 2)
    run.point("best", 1)
    write_atomically(run.path / "samples" / "a", "old")
    for number in range(1, 4):
        with at_call(number, disk_full), pytest.raises(CheckpointError, match="the disk is full"):
            run.point("best", 2)
        assert assert_whole(run.path / "best") in ((1, 2) if number == 3 else (1,))
        with at_call(number, disk_full), pytest.raises(CheckpointError, match="the disk is full"):
            write_atomically(run.path / "samples" / "a", "new")
    assert names(run.path / "samples") == ["a"]
    (run.path / "samples" / "a").unlink()
    assert_no_strays(run)


@pytest.mark.parametrize("room", [0, 10, 100, 170, 300, 600])
def test_the_systems_own_refusal_to_write_more_is_reported_too(run: RunFolder, room: int) -> None:
    save(run, 1)

    def save_with_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))  # bytes a file; more gives "File too large"
        with pytest.raises(CheckpointError, match=r"cannot be written: .*arge") as caught:
            save(run, 2)
        assert "\n" not in str(caught.value)
        assert_no_strays(run)
        assert [assert_whole(folder) for folder in run.checkpoints()] == [1]

    assert in_child(save_with_little_room) == 0


# ---- death in the middle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2], ids=["same step again", "next step"])
def test_killed_at_any_call_the_newest_finished_checkpoint_loads(
    step: int, tmp_path: Path, record_property: Record
) -> None:
    finished = False
    for number in range(1, 60):
        run = RunFolder.create(tmp_path / f"run-{number}")
        save(run, 1)

        def save_until_killed(run: RunFolder = run, number: int = number) -> None:
            with run.lock(), at_call(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                save(run, step, keep=1)

        finished = in_child(save_until_killed) == 0
        with run.lock():
            newest = run.newest_valid()
            assert newest is not None
            assert assert_whole(newest) in (1, step)
            assert_no_strays(run)
            assert_whole(resolve(run.path))
            assert assert_whole(save(run, 9)) == 9
        if finished:
            break
    assert finished
    assert number > 14
    record_property("kills at a call of a save", number - 1)


def test_killed_at_random_moments_what_was_reported_as_saved_loads(run: RunFolder, record_property: Record) -> None:
    draw = random.Random(0)
    step = 0
    kills = repeats(8, 50)
    record_property("kills of a process that only saves", kills)
    for _ in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with run.lock():
                while True:
                    step += 1
                    save(run, step, keep=1)
                    os.write(writer, f"{step} ".encode())
        os.close(writer)
        first = os.read(reader, 100)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reported = (first + os.read(reader, 100_000)).split()
        os.close(reader)
        with run.lock():
            newest = run.newest_valid()
            assert newest is not None
            step = assert_whole(newest)
            assert step - int(reported[-1]) in (0, 1)
            assert len(run.checkpoints()) <= 3
            assert_no_strays(run)


def test_a_second_writer_is_refused_with_the_number_of_the_first(run: RunFolder) -> None:
    code = (
        "import sys; from keifu.checkpoint import RunFolder\n"
        "with RunFolder.open(sys.argv[1]).lock(): print('locked', flush=True); input()"
    )
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", code, str(run.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        stale = run.checkpoints_path / ".step-1.partial"
        stale.mkdir()
        with pytest.raises(ConfigError, match=f"process {other.pid} is writing to this run"), run.lock():
            pass
        assert stale.exists()  # it may belong to the other writer
        other.kill()
    with run.lock():
        assert not stale.exists()
        with pytest.raises(ConfigError, match=f"process {os.getpid()} is writing"), run.lock():
            pass
        with pytest.raises(ConfigError, match="is writing"), RunFolder.open(run.path).lock():
            pass
    with run.lock():
        pass


def test_a_worker_that_outlives_its_parent_does_not_hold_the_lock(run: RunFolder) -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        with run.lock():
            worker = os.fork()
            if worker == 0:
                os.write(writer, str(os.getpid()).encode())
            time.sleep(30)
            os._exit(0)
    worker = int(os.read(reader, 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        with run.lock():
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


def test_a_folder_that_cannot_be_locked_is_reported(run: RunFolder) -> None:
    (run.path / ".lock").mkdir()
    with pytest.raises(CheckpointError, match=r"\.lock: cannot be written: Is a directory"), run.lock():
        pass


# ---- damage ------------------------------------------------------------------------------------------------


def test_every_damage_is_found_and_the_checkpoint_before_serves(
    run: RunFolder, tmp_path: Path, record_property: Record
) -> None:
    save(run, 1)
    good = shutil.copytree(save(run, 2), tmp_path / "good")
    record_property("damages", damages := repeats(150, 500))
    for seed in range(damages):
        shutil.rmtree(run.checkpoints_path / "step-2")
        shutil.copytree(good, run.checkpoints_path / "step-2")
        how = damage(run.checkpoints_path / "step-2", random.Random(seed))
        assert verify(run.checkpoints_path / "step-2"), how
        assert run.newest_valid() == run.checkpoints_path / "step-1"


def test_verify_names_the_damaged_files(run: RunFolder) -> None:
    folder = save(run, 1)
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "training.json").unlink()
    assert verify(folder) == ["model.safetensors", "training.json"]
    (folder / "checksums.json").write_text("{}\n")
    assert verify(folder) == ["config.json", "model.safetensors"]
    (folder / "checksums.json").write_text('{\n  "../../x": "\\ud800"\n}\n')
    assert verify(folder) == ["checksums.json"]
    (folder / "checksums.json").unlink()
    assert verify(folder) == ["checksums.json"]


def test_with_every_checkpoint_damaged_none_is_valid(run: RunFolder) -> None:
    assert run.newest_valid() is None
    (save(run, 1) / "config.json").unlink()
    assert run.newest_valid() is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "config.json: no such file"),
        ("config.json", b"", "config.json: damaged, or not JSON"),
        ("config.json", b"\xff\xfe{", "config.json: damaged, or not JSON"),
        ("config.json", b"[1]", "config.json: expected a JSON object"),
        ("config.json", b"[" * 100_000, "config.json: damaged, or not JSON"),
        ("config.json", b'{"a": ' + b"9" * 5000 + b"}", "config.json: damaged, or not JSON"),
        ("config.json", b" " * 64_000_001, "config.json: larger than 64 MB"),
        ("model.safetensors", None, "model.safetensors: no such file"),
        ("model.safetensors", b"", "model.safetensors: damaged, or no safetensors"),
        ("model.safetensors", b"\x80\x02}q\x00.", "model.safetensors: damaged, or no safetensors"),
        ("model.safetensors", b"\xff" * 8 + b"{}", "model.safetensors: damaged, or no safetensors"),
    ],
)
def test_a_damaged_model_gives_one_short_message(
    run: RunFolder, name: str, content: bytes | None, message: str
) -> None:
    folder = save(run, 1)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_model_files(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).replace(str(folder), "")) < 200


def test_pickles_are_never_read(run: RunFolder) -> None:
    folder = save(run, 1)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        load_model_files(folder)


def test_mutants_of_a_tensor_file_load_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.int64), "c": torch.ones(())})
    good = path.read_bytes()
    draw = random.Random(0)
    for _ in range(500):
        mutant = bytearray(good)
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(min(len(mutant), draw.choice([8, 300])))
            mutant[at] = draw.choice([draw.randrange(256), *b'0123456789"{}[],:FIU'])
        path.write_bytes(bytes(mutant))
        with suppress(CheckpointError):
            load_tensors(path)
