"""--quiet, --verbose and --log-format: what a run says on standard error; and the names that settings had before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = str(ROOT / "examples" / "transactions.csv")


def said(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """The exit code and the lines on standard error."""
    import os

    full = {name: text for name, text in os.environ.items() if not name.startswith("TXMON_")} | (env or {})
    done = subprocess.run(
        [TXMON, *arguments], cwd=cwd, env=full, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr.splitlines()


def test_quiet_says_nothing_of_a_run_without_faults(tmp_path: Path) -> None:
    assert said("replay", SAMPLE, "-q", "-o", str(tmp_path / "out")) == (0, [])
    assert len(said("replay", SAMPLE, "-o", str(tmp_path / "out"))[1]) == 1


def test_quiet_still_says_what_was_rejected(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,status,count\n2026-03-02T10:00:00Z,a,1\n2026-03-02T10:01:00Z,a,1\nx,a,1\n")
    code, lines = said("replay", "t.csv", "-q", cwd=tmp_path)
    assert code == 0
    assert any("t.csv:4" in line for line in lines), lines


def test_verbose_says_which_settings_hold_and_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_text("min_count = 5\n")
    code, lines = said("replay", SAMPLE, "-v", "-o", "out", cwd=tmp_path)
    assert code == 0
    assert "txmon: min_count = 5 (txmon.toml)" in [line.replace(f"{tmp_path}/", "") for line in lines]
    assert "records read, 1440 buckets judged" in lines[-1]


def test_quiet_and_verbose_exclude_each_other() -> None:
    code, lines = said("replay", SAMPLE, "-q", "-v")
    assert (code, lines) == (2, ["txmon: --quiet and --verbose exclude each other. Give one of them."])
    assert said("replay", SAMPLE, "-v", env={"TXMON_QUIET": "1"})[0] == 78


@pytest.mark.parametrize("arguments", [["replay", SAMPLE, "-o", "out"], ["replay", "nosuch"], ["replay", "--nosuch"]])
def test_messages_can_be_json(arguments: list[str], tmp_path: Path) -> None:
    _, lines = said(*arguments, "--log-format", "json", cwd=tmp_path)
    assert lines
    for line in lines:
        row = json.loads(line)
        assert set(row) == {"time", "level", "event", "message"}
        assert row["level"] == ("error" if "nosuch" in arguments[1] else "info")


OLD = {
    "by": ("group_by", "merchant"), "confirm": ("open_after", "3m"), "clear": ("resolve_after", "7m"),
    "join": ("merge_within", "9m"), "repeat": ("remind_every", "2h"), "drain": ("flush_timeout", "7s"),
}  # fmt: skip


@pytest.mark.parametrize("old", OLD)
def test_the_former_name_of_a_setting_is_accepted_everywhere(old: str, tmp_path: Path) -> None:
    new, text = OLD[old]
    wanted = f'{new} = "{text}"'

    def shown(*arguments: str, env: dict[str, str] | None = None) -> str:
        import os

        full = {name: value for name, value in os.environ.items() if not name.startswith("TXMON_")} | (env or {})
        done = subprocess.run(
            [TXMON, "config", *arguments],
            cwd=tmp_path,
            env=full,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return next((line for line in done.stdout.splitlines() if line.startswith(f"{new} =")), done.stderr)

    assert shown(f"--{old}", text) == f"{wanted}  # --{new.replace('_', '-')}"
    assert shown(env={f"TXMON_{old.upper()}": text}).startswith(wanted)
    (tmp_path / "txmon.toml").write_text(f'{old} = "{text}"\n')
    assert shown().startswith(wanted)
    (tmp_path / "txmon.toml").write_text(f'{old} = "{text}"\n{new} = "{text}"\n')
    assert "is given twice, once under its former name. Keep one of them." in shown()


def test_quiet_hours_keep_their_former_key(tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_text('quiet = "22:00-06:00"\n')
    done = subprocess.run([TXMON, "config"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert 'quiet_hours = "22:00-06:00"' in done.stdout


def test_a_value_after_quiet_names_the_new_option() -> None:
    code, lines = said("watch", "--quiet", "22:00-06:00")
    assert code == 2
    assert "--quiet-hours 22:00-06:00" in lines[-1]


def test_help_shows_present_names_only() -> None:
    text = subprocess.run([TXMON, "replay", "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "--group-by" in text
    assert all(f"--{old} " not in text for old in (*OLD, "for"))
    for section in ("Source:", "Input:", "Detection:", "Incidents:", "Output:", "Notifications:"):
        assert section in text.splitlines()


@pytest.mark.parametrize("command", ["replay", "watch", "serve", "tune", "spark", "analyze", "config"])
def test_short_help_shows_at_most_a_dozen_options(command: str) -> None:
    text = subprocess.run([TXMON, command, "-h"], capture_output=True, text=True, timeout=60, check=True).stdout
    shown = [line for line in text.partition("Options:\n")[2].splitlines() if line.startswith("  -")]
    assert 5 <= len(shown) <= 13
    assert f"`txmon {command} --help` prints all" in text


def test_help_explains_topics_commands_and_settings() -> None:
    def explained(*words: str) -> str:
        return subprocess.run([TXMON, "help", *words], capture_output=True, text=True, timeout=60, check=True).stdout

    topics = [line.split()[0] for line in explained().splitlines()[1:] if line.startswith("  ")]
    assert len(topics) > 8
    for topic in topics:
        assert len(explained(topic).splitlines()) > 5
    assert explained("state", "show").startswith("Usage: txmon state show")
    for word in ("--min-count", "min_count", "TXMON_MIN_COUNT"):
        assert "flag          --min-count [STATUS=]N" in explained(word)
    assert "former name   by" in explained("--by")
    code, lines = said("help", "exit-code")
    assert (code, lines) == (
        2, ["txmon: no topic, command or setting 'exit-code'; did you mean 'exit-codes'?"
            " `txmon help` lists the topics."]
    )  # fmt: skip
