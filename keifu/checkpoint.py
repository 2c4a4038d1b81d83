"""The run folder and its checkpoints: atomic, checksummed, resumable. One folder is one model.

    RUN/config.yaml, env.json, data.json, metrics.jsonl, train.log, samples/, README.md
    RUN/checkpoints/step-N/   config.json, model.safetensors, tokenizer.json     the model
                              optimizer.safetensors, training.json               the training state
                              checksums.json
    RUN/best, RUN/last        relative links to one of the checkpoints

A checkpoint is written under a hidden name, flushed to the disk and only then renamed, so that whatever is
called step-N is whole. Older ones are deleted after that. At any moment the process may be killed or the disk
may be full: the newest checkpoint that was ever finished still loads.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from keifu.errors import CheckpointError, ConfigError

CONFIG = "config.json"
MODEL = "model.safetensors"
TOKENIZER = "tokenizer.json"
OPTIMIZER = "optimizer.safetensors"
TRAINING = "training.json"
CHECKSUMS = "checksums.json"

MAX_JSON_BYTES = 64_000_000


@dataclass
class TrainingState:
    """What a run needs beyond the model to go on exactly as if it had never stopped."""

    tensors: dict[str, Tensor]
    """Moments of the optimiser."""
    values: dict[str, Any]
    """Plain JSON values: the step, the sampler's position, the best metric."""


# ---- the run folder ----------------------------------------------------------------------------------------


class RunFolder:
    """The folder of one run. Write to it only while holding `lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints_path = path / "checkpoints"

    @staticmethod
    def refuse_used(path: str | Path) -> None:
        """Raises `ConfigError` when there is something at `path` already, or its name cannot be written down in the
        run. Nothing is written.
        """
        try:
            str(path).encode()
            used = any(Path(path).iterdir())
        except UnicodeEncodeError:
            raise ConfigError(f"{path}: the name is not UTF-8; give another one with --out") from None
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot_make(path, error) from None
        if used:
            remedy = "name another one with --out, or continue its run with keifu resume"
            raise ConfigError(f"{path}: the folder is not empty; {remedy}")

    @classmethod
    def create(cls, path: str | Path) -> "RunFolder":
        """A new run folder. Raises `ConfigError` when there is something at `path` already."""
        cls.refuse_used(path)
        run = cls(Path(path))
        made: list[Path] = []
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            for folder in (run.checkpoints_path, run.path / "samples"):
                folder.mkdir()
                made.append(folder)
            run._refuse_without_links()
            _sync(run.path)
            _sync(run.path.parent)
        except OSError as error:
            for folder in (*made, run.path):  # half of one would be refused; what another process made stays
                with suppress(OSError):
                    folder.rmdir()
            raise _cannot_make(path, error) from None
        return run

    def _refuse_without_links(self) -> None:
        """Raises OSError where the file system knows no links, of which a run has two."""
        trial = self.path / ".link.partial"
        trial.symlink_to("checkpoints")
        trial.unlink()

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """An existing run folder. Raises `CheckpointError` when `path` is none."""
        run = cls(Path(path))
        if not os.path.isdir(run.checkpoints_path):
            found = "no folder checkpoints in it" if os.path.exists(run.path) else "no such folder"
            raise CheckpointError(f"{path}: {found}; expected a run folder, as keifu train makes it")
        return run

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other writers out and clears away what a killed one left behind.

        The lock ends with the block, or with the process. Raises `ConfigError` when another process holds it,
        `CheckpointError` when the folder cannot be written to.
        """
        descriptor = _take_lock(self.path)
        _lock_descriptors.add(descriptor)
        try:
            self._recover()
            yield
        finally:
            _lock_descriptors.discard(descriptor)
            os.close(descriptor)

    def checkpoints(self) -> list[Path]:
        """The finished checkpoints, newest first. Whether one is still undamaged says `verify`."""
        names = [path.name for path in self.checkpoints_path.iterdir() if _is_checkpoint_name(path.name)]
        steps = sorted((int(name.removeprefix("step-")) for name in names), reverse=True)
        return [self._of(step) for step in steps]

    def newest_valid(self) -> Path | None:
        """The newest checkpoint whose checksums hold. Those before it in `checkpoints()` are damaged."""
        return next((path for path in self.checkpoints() if not verify(path)), None)

    def save(
        self,
        step: int,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer_json: bytes | str | None,
        training_state: TrainingState,
        keep: int = 2,
    ) -> Path:
        """Writes the checkpoint of `step`, points `last` at it, prunes the older ones: in this order.

        A checkpoint that this step already has is replaced. `tokenizer_json` is None for a model that reads
        no text. Raises `CheckpointError` when it cannot be written; the older checkpoints are whole then.
        """
        partial = self.checkpoints_path / f".step-{step}.partial"
        files: dict[str, bytes | Mapping[str, Tensor]] = {
            CONFIG: _json(config),
            MODEL: tensors,
            OPTIMIZER: training_state.tensors,
            TRAINING: _json(training_state.values),
        }
        if tokenizer_json is not None:
            files[TOKENIZER] = _bytes(tokenizer_json)
        try:
            partial.mkdir()
            _fill(partial, files)
            self._commit(partial, self._of(step))
            self.point("last", step)
            self.prune(keep)
        except (OSError, SafetensorError) as error:
            needed = sum(_size(content) for content in files.values())
            raise _cannot_write(self._of(step), error, needed) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return self._of(step)

    def point(self, name: str, step: int) -> None:
        """Makes the link `name` ("best" or "last") lead to the checkpoint of `step`.

        Raises `CheckpointError` when it cannot be written; it leads where it did before then.
        """
        assert self._of(step).is_dir(), f"there is no checkpoint of step {step}"
        temporary = self.path / f".{name}.partial"
        try:
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path("checkpoints") / f"step-{step}")
            if (link := self.path / name).is_dir() and not link.is_symlink():  # copied without links
                os.rename(link, self.path / f".{name}.replaced")
            os.replace(temporary, link)
            _sync(self.path)
            shutil.rmtree(self.path / f".{name}.replaced", ignore_errors=True)
        except OSError as error:
            raise _cannot_write(self.path / name, error, 0) from None
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Deletes all checkpoints but `best`, `last` and the newest `keep`."""
        linked = {(self.path / name).resolve() for name in ("best", "last")}
        for path in self.checkpoints()[keep:]:
            if path.resolve() not in linked:
                _delete(path)

    def _of(self, step: int) -> Path:
        return self.checkpoints_path / f"step-{step}"

    def _commit(self, partial: Path, final: Path) -> None:
        """Gives a checkpoint that is on the disk its name, and makes the name durable."""
        replaced = final.with_name(f".{final.name}.replaced")
        if final.exists():  # a folder cannot be renamed over another; after a kill, `_recover` undoes this
            os.rename(final, replaced)
        try:
            os.rename(partial, final)
            _sync(final.parent)
        except BaseException:
            with suppress(OSError):
                os.rename(final, partial)
            if replaced.exists():
                os.rename(replaced, final)
            raise
        if replaced.exists():
            shutil.rmtree(replaced)

    def _recover(self) -> None:
        """Removes or undoes what a killed writer did not finish."""
        try:
            for replaced in self.checkpoints_path.glob(".step-*.replaced"):
                final = replaced.with_name(replaced.stem.removeprefix("."))
                if not final.exists():
                    os.rename(replaced, final)
            for folder in (self.path, self.checkpoints_path, self.path / "samples"):
                for stale in [*folder.glob(".*.partial"), *folder.glob(".*.replaced")]:
                    _remove(stale)
        except OSError as error:
            raise _cannot_write(self.path, error, 0) from None


# A forked data worker inherits the descriptors of held locks and would keep a lock beyond its parent's death.
_lock_descriptors: set[int] = set()


def _close_inherited_locks() -> None:
    for descriptor in _lock_descriptors:
        os.close(descriptor)
    _lock_descriptors.clear()


os.register_at_fork(after_in_child=_close_inherited_locks)


def _take_lock(run: Path) -> int:
    descriptor = None
    try:
        descriptor = os.open(run / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor
    except OSError as error:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace") if descriptor is not None else ""
        if descriptor is not None:
            os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise _cannot_write(run / ".lock", error, 0) from None
        who = f"process {pid}" if pid.isdecimal() else "another process"
        raise ConfigError(f"{run}: {who} is writing to this run; wait for its end, or name another") from None


def _is_checkpoint_name(name: str) -> bool:
    return re.fullmatch(r"step-(0|[1-9][0-9]*)", name) is not None


def _delete(checkpoint: Path) -> None:
    """Deletes a checkpoint so that a kill in between does not leave half of one under its name."""
    doomed = checkpoint.with_name(f".{checkpoint.name}.deleted.partial")
    os.rename(checkpoint, doomed)
    shutil.rmtree(doomed)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


# ---- writing -----------------------------------------------------------------------------------------------


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Writes a whole file or nothing: who reads `path` sees the old content or the new, even after a crash.

    Raises `CheckpointError` when it cannot be written; the old file is whole then.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    content = _bytes(content)
    try:
        _write(temporary, content)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise _cannot_write(path, error, len(content)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors as safetensors, by contiguous copies in main memory, and waits until the disk has them.

    Tied weights must be given once. Raises `OSError` or `SafetensorError` when the file cannot be written.
    """
    path = Path(path)
    path.touch()
    usual_mode = path.stat().st_mode & 0o777
    copies = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(copies, path, metadata={"format": "pt"})
    path.chmod(usual_mode)  # safetensors makes a file that only its owner can read
    _sync(path)


def _fill(folder: Path, files: Mapping[str, bytes | Mapping[str, Tensor]]) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            _write(folder / name, content)
        else:
            save_tensors(folder / name, content)
    checksums = {name: _checksum(folder / name) for name in sorted(files)}
    _write(folder / CHECKSUMS, _json(checksums))
    _sync(folder)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _size(content: bytes | Mapping[str, Tensor]) -> int:
    return len(content) if isinstance(content, bytes) else sum(tensor.nbytes for tensor in content.values())


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _cannot_write(path: Path, error: Exception, needed: int) -> CheckpointError:
    code = error.errno if isinstance(error, OSError) else None
    if code not in (errno.ENOSPC, errno.EDQUOT) and "os error 28)" not in str(error):
        return CheckpointError(f"{path}: cannot be written: {_reason(error)}; what was there before is whole")
    free = shutil.disk_usage(path.parent).free
    space = f"{needed / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free"
    return CheckpointError(f"{path}: the disk is full: {space}; what was there before is whole, make room")


def _cannot_make(path: str | Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot make a folder here: {_reason(error)}; name another place with --out")


def _reason(error: Exception) -> str:
    """The first line of what the system or a library says."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.splitlines()[0]


# ---- reading -----------------------------------------------------------------------------------------------


def resolve(path: str | Path) -> Path:
    """The model folder that RUN means: a run's `best`, else its `last`; or the folder itself if it is one.

    Raises `CheckpointError` that says what was expected.
    """
    path = Path(path)
    if not os.path.isdir(path):  # unlike Path.is_dir, also for a name that is too long or not permitted
        found = "a file" if os.path.exists(path) else "no such folder"
        expected = "a run folder, one of its checkpoints or a model folder"
        raise CheckpointError(f"{path}: {found}; expected {expected}")
    if _is_model(path):
        return path
    if not (path / "checkpoints").is_dir():
        expected = f"{CONFIG}, {MODEL} and, for text, {TOKENIZER}"
        raise CheckpointError(f"{path}: neither a run nor a model folder; a model folder has {expected}")
    for candidate in (path / "best", path / "last", *RunFolder(path).checkpoints()):
        if _is_model(candidate):
            return candidate.resolve()  # the link may lead elsewhere a moment later
    raise CheckpointError(f"{path}: the run has no checkpoint yet; wait for its first, or continue the run")


def _is_model(folder: Path) -> bool:
    return all(os.path.isfile(folder / name) for name in (CONFIG, MODEL))


def verify(folder: str | Path) -> list[str]:
    """The names of a model folder's files that are missing, cut short or changed.

    An exported model has no checksums and passes; a checkpoint of a run must have them.
    """
    folder = Path(folder)
    if not (folder / CHECKSUMS).exists():
        of_a_run = _is_checkpoint_name(folder.resolve().name) or (folder / TRAINING).exists()
        return [CHECKSUMS] if of_a_run else []
    try:
        checksums = _read_json(folder / CHECKSUMS)
        if _json(checksums) != (folder / CHECKSUMS).read_bytes():
            return [CHECKSUMS]
    except (CheckpointError, OSError, ValueError, RecursionError):
        return [CHECKSUMS]
    names = sorted({CONFIG, MODEL, *checksums})
    return [name for name in names if not _holds(folder / Path(name).name, checksums.get(name))]


def _holds(path: Path, expected: object) -> bool:
    try:
        return path.is_file() and _checksum(path) == expected
    except OSError:
        return False


def load_model_files(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor], Path | None]:
    """The config, the tensors and the path of the tokenizer (None where there is none) of a model folder.

    Only JSON and safetensors are read, never a pickle. Raises `CheckpointError` for files missing or damaged.
    """
    folder = Path(folder)
    config = _read_json(folder / CONFIG)
    tokenizer = folder / TOKENIZER
    return config, load_tensors(folder / MODEL), tokenizer if tokenizer.is_file() else None


def load_training_state(folder: str | Path) -> TrainingState:
    """The training state of a run's checkpoint. Raises `CheckpointError` for files missing or damaged."""
    folder = Path(folder)
    if not (folder / TRAINING).exists():
        raise CheckpointError(f"{folder}: a model without training state; train from it with --init instead")
    return TrainingState(load_tensors(folder / OPTIMIZER), _read_json(folder / TRAINING))


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in main memory. Raises `CheckpointError`."""
    _require(Path(path))
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:  # a stranger's file can fail in any of the libraries below
        what = f"damaged, or no safetensors: {_reason(error)}"
        raise CheckpointError(f"{path}: {what}; copy it again") from None
    return tensors


def _read_json(path: Path) -> dict[str, Any]:
    _require(path)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(f"{path}: larger than {MAX_JSON_BYTES // 10**6} MB; expected a small file")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {_reason(error)}") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: damaged, or not JSON; copy it again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, {{...}}; copy it again")
    return value


def _require(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; copy the whole folder again")
