"""A server whose rows have amounts, currencies and columns of --drivers: answers name series, incidents say why."""

from serving import minute, serving

from txmon.settings.declarations import Settings


def test_answers_name_the_series_and_incidents_their_drivers_and_money() -> None:
    with serving(Settings(drivers=("issuer",))) as server:

        def post(i: int, denied: int) -> dict[str, object]:
            plain = {"time": minute(i), "amount": 10.0, "currency": "USD"}
            rows = [plain | {"status": "approved", "issuer": f"B{n % 5}"} for n in range(100)]
            rows += [plain | {"status": "denied", "issuer": "B9" if n else "B1"} for n in range(denied)]
            answer = server.post(rows)
            assert answer.status == 200
            found: dict[str, object] = answer.json()
            return found

        for i in range(45):
            post(i, 1)
        answer = post(45, 60)
        verdicts = answer["verdicts"]
        assert isinstance(verdicts, list)
        assert {row["status"] for row in verdicts} == {"approved", "denied"}
        assert not any("key" in row for row in verdicts)
        assert answer["recommendation"] == "alert"
        for i in range(46, 50):
            post(i, 60)
        incidents = server.client.get("/v1/incidents").json()["incidents"]
        assert {"issuer": "B9"} in [one["values"] for row in incidents for one in row.get("drivers", [])]
