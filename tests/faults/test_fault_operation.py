"""What operators, cleaners and disks do to the files of a run while it goes on."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_tools import TXMON
from following import HEADER, Following, rows, until
from test_fault_server import ROWS, ask, end, serving

ROW = b"time,status\n2026-03-02T10:00:00Z,approved\n"


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Following]:
    found = Following(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def post(port: int, body: bytes = ROW) -> tuple[int, dict[str, object]]:
    return ask(port, "POST", "/v1/transactions", body)


@pytest.mark.fault(
    "somebody deletes the journal of `serve`",
    "answers 507 instead of 200, because a restart would not find the rows, until the next state is written",
)
def test_the_journal_is_deleted(tmp_path: Path) -> None:
    with serving(tmp_path, "--state", "s") as (process, port):
        assert post(port)[0] == 200
        for path in tmp_path.glob("s.journal-*"):
            path.unlink()
        code, said = post(port)
        assert (code, said["detail"]) == (507, "the journal cannot be written: somebody deleted its file")
        process.send_signal(signal.SIGHUP)  # writes the state
        assert until(lambda: post(port)[0] == 200)
        process.kill()
    with serving(tmp_path, "--state", "s") as (process, port):
        assert end(process)[0] == 0


@pytest.mark.fault(
    "the folder of `--out` is deleted while `serve` runs",
    "reports it once; lines that were never written are counted at the end, exit code 74",
)
def test_lines_of_a_server_that_are_lost(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    with serving(tmp_path, "--out", "o/v.jsonl") as (process, port):
        shutil.rmtree(tmp_path / "o")
        assert post(port, ROWS)[0] == 200
        code, said = end(process)
    assert (code, said.count("txmon continues, and up to 16 MB of lines wait")) == (74, 1)
    assert "lines could not be written" in said


@pytest.mark.fault("a trouble of `serve` ends", "says that it is over, and what it was")
def test_the_end_of_a_trouble_is_said(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with serving(tmp_path, "--tail", "app.log") as (process, port):
        missing = "app.log: no such file yet; waiting for it"
        assert until(lambda: ask(port, "GET", "/healthz")[1]["trouble"] == missing)
        time.sleep(1)  # it is said
        log.write_bytes(ROWS)
        assert until(lambda: ask(port, "GET", "/healthz")[1]["trouble"] == "")
        time.sleep(1)
        code, said = end(process)
    lines = said.splitlines()
    assert (code, lines.count(f"txmon: {missing}"), lines.count(f"txmon: over: {missing}")) == (0, 1, 1)
    assert "txmon: " not in lines


@pytest.mark.fault(
    "the lock beside the state is deleted (tmp cleaners do that)",
    "takes it again; if another process took it since, says that two use one state",
)
def test_the_lock_is_deleted(follow: Following, tmp_path: Path) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    (tmp_path / "s.lock").unlink()
    assert until(follow.owns_state)  # it has taken it again
    second = [TXMON, "watch", "--follow", "app.log", "--state", "s", "--out", "w.jsonl"]
    refused = subprocess.run(second, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert (refused.returncode, b"uses this state file" in refused.stderr) == (78, True)

    assert follow.process is not None
    follow.process.send_signal(signal.SIGSTOP)
    (tmp_path / "s.lock").unlink()
    with subprocess.Popen(second, cwd=tmp_path, stderr=subprocess.DEVNULL) as other:
        assert until(lambda: (tmp_path / "s.lock").exists() and str(other.pid) in (tmp_path / "s.lock").read_text())
        follow.process.send_signal(signal.SIGCONT)
        assert until(lambda: "another process uses this state file too" in follow.said())
        other.terminate()
        assert other.wait(30) == 0
    assert follow.stop() == 0
    assert follow.said().count("another process uses") == 1


@pytest.mark.fault(
    "a folder, a link to itself or a pipe takes the name of a followed file",
    "says once that it cannot be read, waits, and reads the file that comes back; no row is lost",
)
@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_something_else_takes_the_name(what: str, follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39), follow.said()
    follow.log.rename(follow.folder / "app.log.1")
    make: dict[str, Callable[[], object]] = {
        "folder": follow.log.mkdir,
        "link": lambda: follow.log.symlink_to("app.log"),
        "pipe": lambda: os.mkfifo(follow.log),
    }
    make[what]()
    assert until(lambda: "app.log: cannot be read" in follow.said())
    if what == "folder":
        follow.log.rmdir()
    else:
        follow.log.unlink()
    assert follow.end(HEADER + rows(40, 60)) == 60
    assert (follow.said().count("cannot be read"), follow.said().count("is read again")) == (1, 1)


@pytest.mark.fault(
    "rotation with dated names and gzip or xz while txmon is stopped", "reads the rest of each file, oldest first, once"
)
@pytest.mark.parametrize("packer", ["gzip", "xz", "bzip2", "zstd"])
def test_dated_rotation_while_stopped(packer: str, follow: Following) -> None:
    if shutil.which(packer) is None:
        pytest.skip(f"needs {packer}")
    follow.append(HEADER + rows(0, 40))
    follow.run_until(39)
    follow.append(rows(40, 60))
    for first, date in ((60, "20260302"), (80, "20260303")):
        follow.log.rename(follow.folder / f"app.log-{date}")
        subprocess.run([packer, "-q", f"app.log-{date}"], check=True, cwd=follow.folder)
        (follow.folder / f"app.log-{date}").unlink(missing_ok=True)  # zstd keeps it
        follow.append(HEADER + rows(first, first + 20))
    assert follow.end() == 100


@pytest.mark.fault(
    "a log is cut and grows back to the same size",
    "knows by its content that it is another, reads it from its start, and says what may be lost",
)
@pytest.mark.parametrize("running", [True, False])
def test_a_log_of_the_same_size(running: bool, follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    if not running:
        assert follow.stop() == 0
    with follow.log.open("r+") as file:
        file.truncate(0)
        file.write(HEADER + rows(40, 80))
    assert follow.end() == 80
    assert "may be lost" in follow.said() or "are lost" in follow.said()


@pytest.mark.fault(
    "the writer of a followed file meets a full disk, or the machine loses power",
    "counts the torn line, or the hole of zeros, as one bad record; every other row counts",
)
@pytest.mark.parametrize("torn", ["2026-03-02T10:40:00Z,appr", "\0" * 4096])
def test_a_torn_line(torn: str, follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    follow.append(torn)
    time.sleep(0.5)
    assert follow.end("\n" + rows(41, 60)) == 59
    assert "1 bad record of this kind: columns" in follow.said()


@pytest.mark.fault(
    "SIGHUP while the configuration is broken, or a folder has its name",
    "says what is wrong and that the settings did not change; the run goes on",
)
def test_a_reload_of_a_broken_configuration(tmp_path: Path) -> None:
    settings = tmp_path / "txmon.toml"
    settings.write_text("sigma = 4\n")
    with serving(tmp_path) as (process, port):
        for broken in ('sigma = "x\n', "sigma = 400\n", None):
            settings.unlink()
            settings.mkdir() if broken is None else settings.write_text(broken)
            process.send_signal(signal.SIGHUP)
            time.sleep(1)
            assert post(port)[0] == 200
        code, said = end(process)
    assert (code, said.count("The settings did not change")) == (0, 3)


@pytest.mark.fault(
    "two signals to end at once, and one while a client hangs",
    "ends once, in order: the state is written, the client has at most 20 s",
)
@pytest.mark.parametrize("hangs", [False, True])
def test_two_signals(hangs: bool, tmp_path: Path) -> None:
    with serving(tmp_path, "--state", "s") as (process, port):
        assert post(port)[0] == 200
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            if hangs:
                head = "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
                sock.sendall(f"{head}Content-Length: 100\r\n\r\ntime".encode())
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
            if hangs:
                assert sock.recv(100).startswith(b"HTTP/1.1 408")
    assert (tmp_path / "s").exists()
    assert not list(tmp_path.glob("s.journal-*"))


@pytest.mark.fault(
    "`serve` without standard streams, as a careless service starts it",
    "no file takes their numbers: the state, the journal and the answers are whole",
)
def test_a_server_without_streams(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = f"exec {TXMON} serve --port {port} --state s --out v <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", command], cwd=tmp_path) as process:

        def answers() -> bool:
            try:
                return ask(port, "GET", "/healthz")[0] == 200
            except OSError:
                return False

        assert until(answers)
        assert post(port, ROWS)[0] == 200
        process.terminate()
        assert process.wait(30) == 0
    with serving(tmp_path, "--state", "s") as (other, port):
        assert sum(json.loads(json.dumps(ask(port, "GET", "/v1/series/approved")[1]["count"]))) > 0
        assert end(other)[0] == 0


@pytest.mark.fault("IPv6", "`--host ::1` and `--host ::` listen; the address is shown in brackets")
def test_an_address_of_ipv6(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "::1") as (process, port):
        with socket.create_connection(("::1", port), timeout=10) as sock:
            sock.sendall(f"GET /healthz HTTP/1.1\r\nHost: [::1]:{port}\r\nConnection: close\r\n\r\n".encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert end(process)[0] == 0


@pytest.mark.fault(
    "a command of `--exec` hangs while txmon ends",
    "ends it too after `--flush-timeout`; its notification stays in the spool for the next start",
)
def test_a_command_does_not_outlive_txmon(tmp_path: Path) -> None:
    minutes = "".join(f"2026-03-02T10:{m:02}:00Z,failed,{200 if m > 40 else 1}\n" for m in range(50))
    (tmp_path / "day.csv").write_text("time,status,count\n" + minutes)
    command = ["replay", "day.csv", "--notify", "--exec", "sh -c 'echo $$ >> pids; exec sleep 1000'", "--spool", "sp"]
    done = subprocess.run(
        [TXMON, *command, "--out", "v", "--flush-timeout", "1s"], cwd=tmp_path, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert b"not sent yet, kept in sp/exec" in done.stderr
    started = (tmp_path / "pids").read_text().split()
    assert started
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


@pytest.mark.fault(
    "SIGTERM at any moment of the start", "ends with 0, or as the signal does before it is handled; the state is whole"
)
@pytest.mark.parametrize("command", ["watch --follow app.log --out v", "serve --port 0"])
def test_a_signal_during_the_start(command: str, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(HEADER + rows(0, 40))
    for tenths in range(1, 7):
        with subprocess.Popen(
            [TXMON, *command.split(), "--state", "s"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            time.sleep(0.07 * tenths)
            process.terminate()
            _, said = process.communicate(timeout=30)
        assert process.returncode in (0, -signal.SIGTERM), said
        assert b"Traceback" not in said
    if (tmp_path / "s").exists():
        subprocess.run([TXMON, "state", "show", "s"], cwd=tmp_path, check=True, capture_output=True, timeout=30)


@pytest.mark.fault(
    "the reader of `serve`'s standard output goes away", "says it once, on /healthz too, and goes on answering"
)
def test_the_reader_of_a_server_goes_away(tmp_path: Path) -> None:
    with subprocess.Popen(
        [TXMON, "serve", "--port", "0"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        port = int(process.stderr.readline().strip().rpartition(":")[2].rstrip("/"))
        for _ in range(3):
            assert post(port, ROWS)[0] == 200
        trouble = "the output cannot be written: Broken pipe"
        assert until(lambda: ask(port, "GET", "/healthz")[1]["trouble"] == trouble)
        time.sleep(1)
        process.terminate()
        assert process.stderr.read().count(trouble) == 1
