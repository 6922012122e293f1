"""Settings: their layers, their refusals, and that what `txmon config` prints reads back to the same."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.errors import ConfigError, UsageError
from txmon.settings.declarations import DECLARATIONS, DEFAULTS
from txmon.settings.load import as_json, as_toml, load
from txmon.settings.parsers import budget
from txmon.support.durations import duration_text, seconds

NONE: dict[str, object] = {}


def test_flags_win_over_variables_over_the_folder_over_the_user(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    (home / ".config" / "txmon").mkdir(parents=True)
    here.mkdir()
    (home / ".config" / "txmon" / "txmon.toml").write_text(
        'bucket = "2m"\nclear = "7m"\nwarmup = "1h"\ntz = "Europe/Paris"\n'
    )
    (here / "txmon.toml").write_text('bucket = "3m"\nclear = "8m"\nwarmup = "2h"\n')
    found = load({"bucket": "5m"}, {"TXMON_RESOLVE_AFTER": "9m", "TXMON_BUCKET": "4m"}, here, home)
    settings = found.settings
    assert (settings.bucket, settings.resolve_after, settings.warmup, settings.tz) == (300, 540, 7200, "Europe/Paris")
    assert [found.origin[n] for n in ("bucket", "resolve_after")] == ["--bucket", "TXMON_RESOLVE_AFTER"]
    assert found.origin["warmup"] == str(here / "txmon.toml")
    assert found.origin["merge_within"] == "default"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('buckett = "1m"', "unknown setting 'buckett'; did you mean 'bucket'"),
        ('bucket = "7s"', "bucket: '7s' is not from 10s to 1h"),
        ('bucket = "7m"', "does not divide a day evenly. Use for example 1m, 5m or 10m."),
        ("bucket = ", "Invalid value"),
        ('budget = "often"', "'often' is not a budget"),
        ('direction = {denied = "up"}', "'up' is not valid. Choose above, below or both"),
        ('tz = "Mars/Olympus"', "is not a time zone"),
    ],
)
def test_a_bad_file_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(NONE, {}, tmp_path, tmp_path)
    assert reason in str(caught.value)
    assert "txmon.toml" in str(caught.value)


def test_a_bad_variable_and_a_bad_flag_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TXMON_BUCKT; did you mean 'TXMON_BUCKET'"):
        load(NONE, {"TXMON_BUCKT": "1m"}, tmp_path, tmp_path)
    with pytest.raises(UsageError, match="--sigma: '99' is not from 2 to 20"):
        load({"sigma": "99"}, {}, tmp_path, tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        load(NONE, {"TXMON_CONFIG": str(tmp_path / "none.toml")}, tmp_path, tmp_path)


@pytest.mark.parametrize("given", [("3,failed=5,denied=2",), ("3", "failed=5,denied=2"), ("failed=5", "denied=2")])
def test_a_flags_commas_are_a_variables_commas(given: tuple[str, ...], tmp_path: Path) -> None:
    """Once `--min-count 3,failed=5` was a value for a status called "3,failed"."""
    flags = load({"min_count": given}, {}, tmp_path, tmp_path).settings
    assert flags == load(NONE, {"TXMON_MIN_COUNT": "3,failed=5,denied=2"}, tmp_path, tmp_path).settings
    assert (flags.min_count.default, flags.min_count.table) == (3, {"failed": 5, "denied": 2})
    sides = load({"direction": ("a=above,b=below",)}, {}, tmp_path, tmp_path).settings.direction
    assert sides == {"a": "above", "b": "below"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("1/month", "1/month"), ("1/week", "1/week"), ("10/day", "10/day"), ("0.1/hour", "0.1/hour"),
        ("0.5/day", "0.5/day"), ("1.5/day", "1.5/day"), ("24/day", "1/hour"), ("14/week", "2/day"),
        ("0.001/day", "0.001/day"), ("416/hour", "416/hour"), ("3/week", "3/week"), ("7/month", "7/month"),
    ],
)  # fmt: skip
def test_a_budget_is_shown_in_the_unit_that_fits_it(given: str, shown: str) -> None:
    assert budget.show(budget(given)) == shown
    assert budget(shown) == budget(given)


@given(st.sampled_from(["hour", "day", "week", "month"]), st.integers(1, 100_000), st.integers(0, 3))
def test_any_budget_shown_reads_back(unit: str, digits: int, decimals: int) -> None:
    try:
        value = budget(f"{digits / 10**decimals:.3f}/{unit}")
    except ValueError:
        return  # more or less than a budget may be
    assert budget(budget.show(value)) == value


def test_what_is_printed_reads_back(tmp_path: Path) -> None:
    flags = {
        "bucket": "5m", "min_count": ("4", "failed=7"), "direction": ("approved=both",),
        "group_by": "a,b", "strict": True, "date": "2026-03-02", "map": ("count=x",), "sigma": "4.25",
    }  # fmt: skip
    first = load(flags, {}, tmp_path, tmp_path)
    text = as_toml(first, {"TXMON_TOKEN": True})
    (tmp_path / "txmon.toml").write_text(text)
    second = load(NONE, {}, tmp_path, tmp_path)
    assert second.settings == first.settings
    assert "# TXMON_TOKEN is set" in text
    assert set(as_json(second)) == set(DECLARATIONS)
    assert load(NONE, {}, tmp_path / "x", tmp_path / "x").settings == DEFAULTS
    tomllib.loads(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sigma", "4.123456789"), ("min_count", "12345678"),
        ("min_count", "3,failed=999999999"), ("speed", "123456.75"), ("min_ratio", "1.0000001,denied=2.5"),
        ("group_by", "m\U0001f600,\x7f"),
        ("group_by", 'a"b,c\\d'), ("exec", "cat '\x9b31m'"),
    ],
)  # fmt: skip
def test_all_digits_and_characters_read_back(name: str, text: str, tmp_path: Path) -> None:
    first = load({name: text.split(",") if name.startswith("min_") else text}, {}, tmp_path, tmp_path)
    written = as_toml(first, {})
    assert written.isascii()
    (tmp_path / "txmon.toml").write_text(written)
    assert load(NONE, {}, tmp_path, tmp_path).settings == first.settings


def test_rules_that_no_text_spells_read_back(tmp_path: Path) -> None:
    tables = [
        {"name": "spike", "when": "count > 3"}, {"status": "two words", "when": "share > 5%", "for": "3m"},
        {"status": "a:b", "when": "count > 1"}, {"when": "count\n> 1"}, {"when": "score > 4"},
    ]  # fmt: skip
    first = load({"rule": tables}, {}, tmp_path, tmp_path)
    written = as_toml(first, {})
    assert '"score > 4"' in written
    (tmp_path / "txmon.toml").write_text(written)
    second = load(NONE, {}, tmp_path, tmp_path)
    assert second.settings.rule == first.settings.rule
    assert [rule.name for rule in second.settings.rule][:2] == ["spike", "rule2"]


def test_half_a_character_is_written_as_one_that_stands_for_it(tmp_path: Path) -> None:
    written = as_toml(load({"out": "a\udcffb"}, {}, tmp_path, tmp_path), {})
    assert tomllib.loads(written)["out"] == "a\ufffdb"


@given(st.integers(0, 10**8))
def test_durations_read_back(value: int) -> None:
    assert seconds(duration_text(value)) == value
