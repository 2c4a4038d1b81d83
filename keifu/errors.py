"""The mistakes that a user can make, each one short message: where, what was found, what was expected, what to do.

The command line prints the message without a traceback and ends with the class's `exit_code`. A programmer's
mistake is an assertion instead.
"""


class KeifuError(Exception):
    """Base of every error that a user can cause. Never raised itself."""

    exit_code = 2


class ConfigError(KeifuError):
    """A setting or an argument is wrong, or two of them do not go together. Exit code 2."""


class DataError(KeifuError):
    """A data file is missing, unreadable or not in the form that was asked for. Exit code 3."""

    exit_code = 3


class CheckpointError(KeifuError):
    """A run folder or a checkpoint is missing, damaged or of another kind. Exit code 3."""

    exit_code = 3


class ResourceError(KeifuError):
    """More memory is asked for than there is, by an estimate or by an allocation that failed. Exit code 4."""

    exit_code = 4


class DivergenceError(KeifuError):
    """Training met a loss or a gradient that is not a finite number. Exit code 3: the last checkpoint is good."""

    exit_code = 3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed. torch.OutOfMemoryError is a RuntimeError, and the CPU's allocator raises a plain
    one.
    """
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def printable(text: str, keep: str = "") -> str:
    """The text with control characters, and what stands for bytes of a file's name that are no text, as codes such as
    "\\x1b"; what is in `keep` stays.
    """
    stays = {"\u3000", *keep}
    return "".join(sign if sign.isprintable() or sign in stays else repr(sign)[1:-1] for sign in text)
