"""Writes the first cases of each target's corpus: what is well formed, so that a run begins inside. `python tests/fuzz/seeds.py`"""

import json

import corpus

ROWS = b"".join(
    b"2026-03-02T10:%02d:00Z,%s,%d,m%d\n" % (m, s, 5 + m % 3, m % 2) for m in range(5) for s in (b"approved", b"denied")
)
DAY_ROWS = b"00h 01,approved,9\n00h 02,denied,3\n23h 59,denied,3\n00h 00,approved,9\n"
DST = b"2026-10-25 02:10,denied,3\n2026-10-25 02:50,denied,3\n2026-10-25 02:10,denied,4\n2026-03-29 02:30,denied,1\n"
IDS = b"2026-03-02T10:00:00Z,denied,1,2.5,a\n2026-03-02T10:00:01Z,denied,1,2.5,a\n1772445600,denied,1,,b\n"
LINES = b"".join(
    json.dumps({"time": f"2026-03-02T10:{m:02}:00Z", "status": "denied", "count": m, "merchant": "m1"}).encode() + b"\n"
    for m in range(4)
)
FLAT = b'{"ts": 1772445600, "state": "denied", "amount": 2.5, "x": null}\n{"ts": 1772445661.5, "state": "Denied"}\n'
TOML = b"""bucket = "1m"
budget = "2/day"
by = ["merchant"]
min_count = {default = 3, failed = 5}
direction = {approved = "below"}
silence = ["status=denied;time=02:00-04:00"]
quiet = "22:00-06:00"
[[rule]]
status = "failed"
when = "count >= 20 or share > 0.05"
for = "3m"
"""
RECORDS = [
    bytes([how, piece]) + text
    for text in (
        b"time,status,count,merchant\n" + ROWS, b"\xef\xbb\xbfTime;State;F1\n" + ROWS.replace(b",", b";"),
        b"time,status,count\n" + DAY_ROWS, b"time,status,count\n" + DST, b"time,status,count,amount,id\n" + IDS,
        LINES, FLAT, LINES + FLAT + LINES, b'time,status\n"2026-03-02T10:00:00Z","a,""b"\n\n  \nx\n', ROWS,
    )
    for how, piece in ((0, 0), (64 | 4, 3), (16, 8), (48 | 64, 1), (128, 2), (1, 1), (2, 1), (8, 4))
]  # fmt: skip
RULES = [
    b"\0" + text
    for text in (
        b"failed: count >= 20 or share > 5% for 3m", b"not (expected * 2 < count and -slope + .5 >= 1) / 2",
        b"count - low == high != total", b"ratio > 1e", b"(((count)))", b"count > 1 > 2", b"x: 5 % 2",
    )
] + [b"\1" + TOML, b'\1rule = ["count > 1", "denied: share > 1%"]', b"\1[[rule]]\nname = 'a'\nwhen = 'count > 1'"]  # fmt: skip
CONFIG = [b"\2" + TOML] + [
    b"\1" + text
    for text in (
        b"bucket=10s", b"budget=0.1/hour", b"tz=Europe/Berlin", b"rule=count > 3 for 2m", b"map=count=F1,time=x",
        b"by=merchant,issuer", b"silence=key=merchant:m1;weekday=sat+sun", b"digest=08:00", b"quiet=22:00-06:00",
        b"max_line=64KiB", b"link=https://h/", b"exec=cat 'a b'", b"date=2026-03-02", b"direction=approved=below",
        b"min_ratio=1.5,denied=2", b"sigma=4", b"explain=yes", b"lateness=0",
    )
] + [bytes([4 * n]) + text for n, text in enumerate((b"csv", b"count=F1", b"2026-03-02", b"UTC", b"a,b", b"", b"x"))]  # fmt: skip
STATE = [b"\2" + bytes([n % 2, n * 7 % 256, n % 29]) for n in range(60)] + [
    b"\1" + json.dumps({"txmon": 1, "settings": {"bucket": 60, "by": []}, "pipeline": {}, "sources": {}}).encode(),
    b"\1[]", b'\1{"txmon": 2, "written_by": "9"}', b"\0\x1f\x8b\x08", b"\0",
]  # fmt: skip
HOST = b"Host: localhost\r\n"
HTTP = [
    b"\0\0GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /metrics HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\0\1POST /v1/transactions HTTP/1.1\r\n" + HOST + b"Content-Type: text/csv\r\nContent-Length: 55\r\n\r\n"
    b"time,status,count\n2026-03-02T00:50:00Z,failed,60\n      ",
    b"\0\1HEAD / HTTP/1.0\r\n\r\n",
    *[
        b"\2\0" + path
        for path in (
            b"v1/verdicts?since=2026-03-02T00:00:00Z&limit=5&status=failed", b"v1/incidents", b"v1/series/failed?minutes=9",
            b"v1/overview", b"openapi.json", b"", b"static/x", b"v1/stream?after=1", b"readyz",
        )
    ],
    b"\3\0Content-Length: 2\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n\r\n{}",
    *[
        bytes([kind, 0]) + body
        for kind in (4, 6, 14, 22, 30, 38, 70, 134)
        for body in (
            b'{"time": "2026-03-02T00:41:00Z", "status": "failed", "count": 60}',
            b'[{"time": "2026-03-02T00:41:00Z", "status": "failed", "count": 60}, {"x": 1}]',
            b'{"token": "fuzz-token-0123456789"}', b'{"denied": 3, "failed": 9, "time": "00h 41"}',
            b"time,status\n2026-03-02T00:41:00Z,denied\n",
        )
    ],
]  # fmt: skip

if __name__ == "__main__":
    for target, cases in (
        ("records", RECORDS), ("rules", RULES), ("config", CONFIG), ("state", STATE), ("http", HTTP),
    ):  # fmt: skip
        corpus.write(target, {*corpus.read(target), *cases})
