"""Hatchling's build hook: compiles the detection core with mypyc into the wheel, or leaves it as plain Python.

An editable install stays interpreted, so that an edit shows at once. TXMON_PURE=1 asks for a pure wheel;
TXMON_COMPILE=1 makes a failed compilation an error instead of a pure wheel.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "decimals", "times", "trend", "limits", "verdict", "lines", "key_packing", "fields", "records", "tally",
    "rest_tally", "csv_tally", "shapes", "json_tally", "tallier", "buckets", "baseline", "census", "judgement",
    "season", "together", "thresholds", "group", "episodes", "surge", "roster", "detector", "incidents", "pipeline",
    "sinks/jsonl",
)  # fmt: skip
# types of the modules that are compiled, and no others': a clean build has none of the libraries that the others import
CHECKS = (
    "--config-file=", "--strict", "--ignore-missing-imports", "--follow-imports=silent", "--cache-dir=/dev/null",
)  # fmt: skip


class CompileCore(BuildHookInterface[Any]):
    """Adds the compiled modules beside their sources."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile for a standard wheel and mark it as this platform's."""
        if version != "standard" or os.environ.get("TXMON_PURE") == "1":
            return
        try:
            built = self._compile()
        except (Exception, SystemExit) as failure:  # mypyc and distutils leave through SystemExit
            if os.environ.get("TXMON_COMPILE") == "1":
                raise
            self.app.display_warning(f"txmon: no compiled core ({failure}); it will run interpreted")
            return
        for path in built:
            build_data["force_include"][str(path)] = str(path.relative_to(self._work))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the work folder once the wheel holds what was built."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _compile(self) -> list[Path]:
        from mypyc.build import mypycify
        from setuptools import Distribution

        self._folder = tempfile.TemporaryDirectory(prefix="txmon-mypyc-")
        self._work = Path(self._folder.name) / "out"
        temporary = Path(self._folder.name) / "tmp"
        here = os.getcwd()
        os.chdir(Path(self.root) / "src")  # mypyc derives module names from relative paths
        try:
            sources = [f"txmon/{name}.py" for name in COMPILED]
            extensions = mypycify(
                [*CHECKS, *sources], opt_level="3", target_dir=str(temporary), group_name="txmon_core"
            )
            distribution = Distribution({"name": "txmon", "ext_modules": extensions})
            command = distribution.get_command_obj("build_ext")
            command.build_lib, command.build_temp = str(self._work), str(temporary)
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(here)
        return sorted(path for path in self._work.rglob("*") if path.suffix in (".so", ".pyd"))


if sys.version_info < (3, 11):  # noqa: UP036 - says it plainly where an old pip ignores requires-python
    raise SystemExit("txmon needs Python 3.11 or later")
