"""The protocol of every part whose state is saved and taken over: by a state file, a shard, or `Detector.snapshot`."""

from typing import Any, Protocol


class Stateful(Protocol):
    """A part that can stop and go on.

    A fresh part that restores a snapshot, even one that went through JSON, goes on exactly as the part that gave the
    snapshot. tests/integration/test_stateful.py holds every part to that.
    """

    def snapshot(self) -> Any:
        """Return the state, made of what JSON takes. It may share containers with the part: copy or write it first."""

    def restore(self, state: Any) -> None:
        """Become the part whose `snapshot` was `state`; KeyError, IndexError, TypeError or ValueError where it cannot.

        A part with settings must have been made with the same settings. After an error the part is of no use.
        """
