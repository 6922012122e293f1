"""`watch` reads live logfmt and JSON arrays, from a pipe and from a growing file, and gives replay's verdicts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from exports import minutes
from following import Following, rows

TXMON = str(Path(sys.executable).with_name("txmon"))
ROWS = [(f"{m:%Y-%m-%dT%H:%M:%SZ}", s, n) for m, s, n in minutes()]
OBJECTS = [{"time": m, "status": s, "count": n} for m, s, n in ROWS]
KINDS = {
    "logfmt": "".join(f'time={m} level=info msg="a b" status={s} count={n}\n' for m, s, n in ROWS),
    "array": "[\n" + ",\n".join(map(json.dumps, OBJECTS)) + "\n]\n",
    "array, tight": "[" + ",\n".join(map(json.dumps, OBJECTS)) + "]\n",
    "arrays": json.dumps(OBJECTS[:18]) + "\n" + json.dumps(OBJECTS[18:]) + "\n",
}
PLAIN = "time,status,count\n" + "".join(f"{m},{s},{n}\n" for m, s, n in ROWS)


def run(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "TXMON_NO_READING"}
    return subprocess.run([TXMON, *words], input=text, capture_output=True, text=True, timeout=60, check=True, env=env)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe(kind: str) -> None:
    done = run(KINDS[kind], "watch")
    assert done.stdout == run(PLAIN, "replay", "-").stdout
    assert done.stderr.startswith(f"txmon: <stdin>: {'logfmt' if kind == 'logfmt' else 'JSON array'}; time=time (UTC)")


FORMS = {
    "logfmt": ("", "time={time} level=info msg=done status=approved"),
    "array": ("[\n", '{{"time": "{time}", "status": "approved"}},'),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_followed_file_goes_on_after_a_restart(kind: str, tmp_path: Path) -> None:
    begin, form = FORMS[kind]
    follow = Following(tmp_path)
    follow.append(begin + rows(0, 40, form))
    follow.run_until(39)
    follow.append(rows(40, 60, form))
    assert follow.end(form=form) == 60
    assert "bad record" not in follow.said()
