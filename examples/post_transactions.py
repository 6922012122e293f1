"""Sends a file of transactions to `txmon serve` in batches; a repeat after a lost answer counts nothing twice.

usage: python post_transactions.py FILE.csv [http://127.0.0.1:8080]; TXMON_TOKEN is sent where it is set
"""

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

BATCH = 500  # rows a request
TRIES = 5


def batches(path: str) -> Iterator[bytes]:
    """The file as CSV bodies of at most BATCH rows, each with the header."""
    with open(path, "rb") as file:
        header, rows = file.readline(), []
        for row in file:
            rows.append(row)
            if len(rows) == BATCH:
                yield header + b"".join(rows)
                rows = []
        if rows:
            yield header + b"".join(rows)


def post(address: str, body: bytes) -> dict[str, object]:
    """One batch; tried again while nobody answers. What the server makes of it."""
    headers = {
        "Content-Type": "text/csv",
        # the same key with the same body gives the first answer again
        "Idempotency-Key": hashlib.sha256(body).hexdigest(),
    }
    if "TXMON_TOKEN" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['TXMON_TOKEN']}"
    for n in range(TRIES):
        try:
            request = urllib.request.Request(f"{address}/v1/transactions", body, headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:  # it was understood, and will not be taken another time
            sys.exit(f"{refused.code}: {refused.read().decode()}")
        except OSError as failure:
            if n == TRIES - 1:
                sys.exit(f"{address}: {failure}")
            time.sleep(2**n / 2)
    raise AssertionError


def main() -> None:
    """Post the whole file; print each verdict that alerts."""
    path, address = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8080"
    accepted = 0
    for body in batches(path):
        receipt = post(address.rstrip("/"), body)
        accepted += int(str(receipt["accepted"]))
        for verdict in receipt["verdicts"]:  # type: ignore[attr-defined]
            if verdict["recommendation"] == "alert":
                print(verdict["time"], verdict["text"])
    print(f"{accepted} accepted")


if __name__ == "__main__":
    main()
