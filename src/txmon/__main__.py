"""The `txmon` command: `--version` at once, everything else through the CLI, every failure as one line."""

import gc
import sys


def main() -> None:
    """Run the command line; the console script and `python -m txmon` both start here."""
    gc.disable()  # while modules are imported: looking for cycles took a tenth of a short run
    if sys.argv[1:] in (["--version"], ["-V"]):  # before click: a version should not wait for the CLI to be built
        from txmon.version import describe

        print(describe())
        return
    from txmon.cli.main import run

    code = run(sys.argv[1:])
    gc.freeze()  # nor when the process ends
    sys.exit(code)


if __name__ == "__main__":
    main()
