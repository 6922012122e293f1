"""One name for one thing, from the flag through the setting to the field and the JSON key."""

import json
from dataclasses import fields

from txmon.detection.thresholds import DetectorConfig
from txmon.model.outcome import IncidentEvent
from txmon.model.verdict import Stated, Verdict
from txmon.notify.policy import Policy
from txmon.pipeline.incidents import IncidentPolicy
from txmon.server.incident_book import IncidentRow
from txmon.settings.declarations import DECLARATIONS
from txmon.sinks.lines import event_line, verdict_line


def test_a_setting_has_one_name_from_the_flag_to_the_core() -> None:
    """But for what holds one value a status, and for what is no setting."""
    own = {
        DetectorConfig: {"min_counts", "min_ratios", "directions", "rowless", "pooled"},
        Policy: {"group", "silences", "most"},
        IncidentPolicy: {"platform"},
    }
    for config in (DetectorConfig, IncidentPolicy, Policy):
        names = {field.name for field in fields(config)}
        assert names - set(DECLARATIONS) == own.get(config, set())


def test_a_line_has_the_names_of_its_value() -> None:
    stated = Stated(0, 4, "t")
    verdict = Verdict(0, "a", (("merchant", "m"),), 1, 2, 3.0, 5.0, 1, "alert", ("score",), stated, "i", True, True)
    line = json.loads(verdict_line(verdict))
    assert [line.pop("time"), line.pop("key")] == ["1970-01-01T00:00:00Z", {"merchant": "m"}]
    assert {name: value if name != "reasons" else tuple(value) for name, value in line.items()} == {
        name: getattr(verdict, name) for name in line
    }
    assert len(line) == 14
    event = IncidentEvent(0, "opened", "i", ("a",), (("merchant", "m"),), "failures", 0, 0, 1, 2.0, 3.0, "t")
    row = json.loads(event_line(event))
    assert row.pop("event") == "incident"
    assert list(row) == [field.name for field in fields(IncidentEvent) if field.name in row]  # the others are empty
    assert {"id", "state", "label", "severity", "excess"} <= set(row) & {field.name for field in fields(IncidentRow)}
