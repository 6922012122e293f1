"""Who may ask: scopes of several tokens, sessions beside a proxy's own login, and what a trusted proxy says."""

import http.client
from pathlib import Path

import pytest
from serving import Server, serving

from txmon.errors import ConfigError
from txmon.server.guard import Token, read_tokens
from txmon.settings.declarations import Settings

TOKEN = "a-token-of-thirty-two-characters"
TOKENS = (
    Token(b"ingest-only-0123456789", frozenset(("ingest",))),
    Token(b"read-only-0123456789", frozenset(("read",))),
)
ROW = {"time": "2026-03-02T14:33:20Z", "status": "failed"}
PROXIED = Settings(trusted_proxy=("127.0.0.0/8", "10.0.0.0/8"))


def session(server: Server, token: str = TOKEN, **headers: str) -> str:
    answer = server.client.post("/v1/login", {"token": token}, **headers)
    assert answer.status == 204
    return answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("token", "post", "read", "acknowledge"),
    [
        ("ingest-only-0123456789", 200, 403, 403),
        ("read-only-0123456789", 403, 200, 403),
        (TOKEN, 200, 200, 404),
        ("none-of-them-0123456789", 401, 401, 401),
    ],
)
def test_a_token_may_do_what_its_scopes_say(token: str, post: int, read: int, acknowledge: int) -> None:
    with serving(token=TOKEN, tokens=TOKENS) as server:
        bearer = {"Authorization": f"Bearer {token}"}
        assert server.post(ROW, **bearer).status == post
        for path in ("/v1/overview", "/metrics", "/v1/verdicts"):
            assert server.client.get(path, **bearer).status == read
        assert server.client.post("/v1/incidents/none/ack", **bearer).status == acknowledge


def test_a_session_has_the_scopes_of_its_token() -> None:
    with serving(token=TOKEN, tokens=TOKENS) as server:
        cookie = session(server, "read-only-0123456789").split(";")[0]
        assert server.client.get("/v1/overview", Cookie=cookie).status == 200
        refused = server.post(ROW, Cookie=cookie)
        assert (refused.status, refused.json()["code"]) == (403, "scope")


def test_a_session_counts_beside_the_login_of_a_proxy() -> None:
    with serving(token=TOKEN) as server:
        cookie = session(server).split(";")[0]
        basic = {"Cookie": cookie, "Authorization": "Basic dXNlcjpwYXNz"}
        assert server.client.get("/v1/overview", **basic).status == 200
        assert server.post(ROW, **basic).status == 200
        assert server.post(ROW, **basic, Origin="http://evil.example").status == 403  # Basic proves nothing
        assert server.client.get("/v1/overview", Authorization="Basic dXNlcjpwYXNz").status == 401


def test_wrong_tokens_of_one_client_behind_a_proxy_count_for_that_client_alone() -> None:
    with serving(PROXIED, token=TOKEN) as server:

        def ask(token: str, chain: str) -> int:
            return server.client.get("/metrics", Authorization=f"Bearer {token}", X_Forwarded_For=chain).status

        assert [ask("wrong", "198.51.100.7, 10.0.0.1") for _ in range(11)] == [401] * 10 + [429]
        assert ask("wrong", "198.51.100.8, 10.0.0.1") == 401
        assert ask("wrong", "1.2.3.4, 198.51.100.7") == 429  # what the client itself put before is not believed
        assert ask(TOKEN, "198.51.100.7") == 200


def test_without_a_trusted_proxy_nobody_is_believed() -> None:
    with serving(token=TOKEN) as server:
        for i in range(10):
            server.client.get("/metrics", Authorization="Bearer wrong", X_Forwarded_For=f"198.51.100.{i}")
        answer = server.client.get("/metrics", Authorization="Bearer wrong", X_Forwarded_For="198.51.100.99")
        assert answer.status == 429
        assert "; Secure" not in session(server, X_Forwarded_Proto="https")


@pytest.mark.parametrize("header", [{"X_Forwarded_Proto": "https"}, {"Origin": "https://monitor.example"}])
def test_a_cookie_is_secure_under_tls(header: dict[str, str]) -> None:
    settings = Settings(trusted_proxy=("127.0.0.1",), allow_host=("monitor.example",))
    with serving(settings, token=TOKEN) as server:
        assert session(server, **header).endswith("; Secure")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "same-origin", "Origin": "https://monitor.example"}, 200),
        ({"Sec_Fetch_Site": "same-site", "Origin": "https://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Origin": "https://monitor.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://monitor.example", "X_Forwarded_Host": "monitor.example"}, 200),
        ({"Origin": "https://evil.example", "X_Forwarded_Host": "monitor.example"}, 403),
        ({"X_Forwarded_Host": "rebound.example"}, 421),
    ],
)
def test_a_proxy_may_rewrite_the_host(headers: dict[str, str], status: int) -> None:
    settings = Settings(trusted_proxy=("127.0.0.1",), allow_host=("monitor.example",))
    with serving(settings if "X_Forwarded_Host" in headers else None) as server:
        assert server.post(ROW, **headers).status == status


def test_a_name_of_allow_host_is_the_page_s_though_a_proxy_rewrote_host() -> None:
    with serving(Settings(allow_host=("monitor.example",))) as server:
        assert server.post(ROW, Origin="http://monitor.example:8443").status == 200
        assert server.post(ROW, Origin="http://other.example").status == 403


def test_the_page_is_under_its_base_path() -> None:
    with serving(Settings(base_path="/tools/txmon"), token=TOKEN) as server:
        for path, status in (
            ("/tools/txmon/", 200),
            ("/", 200),
            ("/tools/txmon/assets/main.js", 200),
            ("/tools/", 404),
        ):
            assert server.client.get(path).status == status
        moved = server.client.get("/tools/txmon")
        assert (moved.status, moved.headers["location"]) == (308, "/tools/txmon/")
        answer = server.client.post("/tools/txmon/v1/login", {"token": TOKEN})
        assert "; Path=/tools/txmon" in answer.headers["set-cookie"].replace("Path=/tools/txmon;", "Path=/tools/txmon")


def test_tokens_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# agents\ningest ingest-only-0123456789\nread,ingest  both-0123456789abcdef\n")
    assert read_tokens(str(path))[1].scopes == {"read", "ingest"}
    for bad, told in (
        ("", "has no token"),
        ("write a-token-0123456789\n", ":1: not valid"),
        ("read short\n", "at least 16"),
        ("a-token-0123456789\n", ":1: not valid"),
    ):
        path.write_text(bad)
        with pytest.raises(ConfigError, match=told):
            read_tokens(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(str(tmp_path / "none"))


def test_an_answer_is_packed_for_who_takes_that() -> None:
    with serving() as server:
        plain = server.client.get("/openapi.json")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/openapi.json", headers={"Accept-Encoding": "br, gzip;q=0.5"})
        answer = connection.getresponse()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < len(plain.body) / 3
        connection.request("GET", "/openapi.json", headers={"Accept-Encoding": "gzip;q=0, identity"})
        answer = connection.getresponse()
        assert answer.headers["Content-Encoding"] is None
        assert answer.read() == plain.body
        assert plain.headers["vary"] == "Accept-Encoding"
        connection.close()
