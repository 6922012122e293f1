"""The protocol of every part whose state is saved and restored by a state file, a shard, or `Detector.snapshot`."""

from typing import Any, Protocol


class Stateful(Protocol):
    """A part that can stop and continue later.

    A new part that restores a snapshot, also one that was converted to JSON and back, continues exactly like the part
    that returned it. tests/integration/test_stateful.py checks this for every part.
    """

    def snapshot(self) -> Any:
        """Return the state as values that JSON can represent.

        It may share containers with the part, so copy or write it first.
        """

    def restore(self, state: Any) -> None:
        """Restore a state that `snapshot` returned. Raise KeyError, IndexError, TypeError or ValueError if that fails.

        The part must have been created with the same settings. After an error it must not be used.
        """
