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

# folders are compiled whole, all but their __init__
COMPILED = (
    "model", "detection", "ingest/aggregate", "ingest/fields", "ingest/timestamps", "ingest/records",
    "pipeline/buckets", "pipeline/coverage", "pipeline/trends", "pipeline/incident", "pipeline/incident_text",
    "pipeline/incidents", "pipeline/member", "pipeline/platform", "pipeline/pipeline", "sinks/lines", "sinks/jsonl",
)  # fmt: skip
# types of the modules that are compiled, and no others': a clean build has none of the libraries that the others import
CHECKS = (
    "--config-file=", "--strict", "--ignore-missing-imports", "--follow-imports=silent", "--cache-dir=/dev/null",
)  # fmt: skip
# calls between compiled functions go straight there and can be inlined: nobody else's function can take one's place
DIRECT = ["-fvisibility=hidden"]


def compiled_sources() -> list[str]:
    """Return the paths of the modules to compile, relative to src, which has to be the current folder."""
    found: list[str] = []
    for name in COMPILED:
        folder = Path("txmon") / name
        modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        found += [str(path) for path in modules] if folder.is_dir() else [f"{folder}.py"]
    return found


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
            sources = compiled_sources()
            extensions = mypycify(
                [*CHECKS, *sources], opt_level="3", target_dir=str(temporary), group_name="txmon_core"
            )
            for extension in extensions if os.name == "posix" else ():
                extension.extra_compile_args += DIRECT
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
