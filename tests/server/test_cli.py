"""Every command of the command line, in this process and as a real one."""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.cli import main

Run = Callable[..., Result]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'crm.db'}"


@pytest.fixture
def run(url: str) -> Run:
    """Runs a command on the test's database and expects this exit code."""

    def run(*args: str, code: int = 0, database: str = url) -> Result:
        done = CliRunner().invoke(main, args, env={"TINYCRM_DATABASE": database, "COLUMNS": "200"})
        assert done.exit_code == code, (done.output, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        if code:
            assert "Traceback" not in done.output
            assert len(done.stderr.strip().splitlines()) <= 1, done.stderr
        return done

    return run


@pytest.fixture
def people(url: str) -> Iterator[TinyCRM]:
    with TinyCRM(url) as crm:
        news, shop = crm.project("newsletter"), crm.project("shop")
        news.identify("alice@example.com", name="Alice Chen", params={"source": "launch"})
        shop.identify("alice@example.com", status="paid", params={"mrr": 9})
        news.identify("bo@example.com", name="Bo")
        yield crm


def test_help_names_every_command(run: Run) -> None:
    shown = run().stdout
    names = re.findall(r"^  (\w[\w-]+)  ", shown, re.MULTILINE)
    assert names == sorted(main.commands)
    for name in names:
        assert "Usage:" in run(name, "--help").stdout


def test_migrate_makes_the_tables_and_may_be_repeated(run: Run, tmp_path: Path) -> None:
    run("migrate")
    run("migrate")
    assert (tmp_path / "crm.db").exists()


def test_projects(run: Run) -> None:
    run("project", "add", "shop", "--name", "The Shop", "--hue", "teal")
    assert "The Shop" in run("project", "list").stdout
    (shop,) = json.loads(run("project", "list", "--json").stdout)
    assert (shop["slug"], shop["hue"], shop["customers"]) == ("shop", "teal", 0)
    assert "exists" in run("project", "add", "shop", code=1).stderr
    run("project", "add", "No Slug!", code=2)


def test_keys_are_shown_once(run: Run) -> None:
    run("project", "add", "shop")
    secret = run("key", "create", "--project", "shop", "--label", "web").stdout.strip()
    assert re.fullmatch(r"tcrm_proj_\w{33}", secret)
    listed = run("key", "list").stdout
    assert secret not in listed
    assert "web" in listed
    (key,) = json.loads(run("key", "list", "--json").stdout)
    assert (key["project"], key["revoked_at"]) == ("shop", None)
    assert "Revoked" in run("key", "revoke", key["id"][:30]).stdout
    assert "revoked" in run("key", "list").stdout
    made = json.loads(run("key", "create", "--scope", "read", "--json").stdout)
    assert made["key"].startswith("tcrm_acct_")


def test_keys_that_cannot_be(run: Run) -> None:
    run("migrate")
    run("key", "create", code=2)
    run("key", "create", "--project", "nope", code=1)
    run("key", "create", "--project", "a", "--scope", "read", code=2)
    run("key", "revoke", "00", code=1)


@pytest.mark.usefixtures("people")
def test_customers(run: Run) -> None:
    shown = run("customers", "status@shop:paid").stdout
    assert "Alice Chen" in shown
    assert "● shop paid" in shown
    assert "1 person." in shown
    body = json.loads(run("customers", "--sort", "email", "--limit", "1", "--json").stdout)
    assert [each["email"] for each in body["customers"]] == ["alice@example.com"]
    rest = run("customers", "--sort", "email", "--after", body["next"], "--json").stdout
    assert [each["email"] for each in json.loads(rest)["customers"]] == ["bo@example.com"]
    assert "no field" in run("customers", "statsu:paid", code=2).stderr
    run("customers", "--sort", "nope", code=2)
    run("customers", "--limit", "0", code=2)


def test_a_missing_file_is_no_empty_database(run: Run, tmp_path: Path) -> None:
    assert "there is no database" in run("customers", code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("people")
def test_show(run: Run) -> None:
    shown = run("show", "Alice@Example.com").stdout
    for each in ("Alice Chen", "shop", "mrr: 9", "source launch"):
        assert each in shown
    body = json.loads(run("show", "alice@example.com", "--json").stdout)
    assert len(body["memberships"]) == 2
    assert len(body["history"]) == 2
    run("show", "nobody@example.com", code=1)
    run("show", "nonsense", code=2)


def test_names_cannot_steer_a_terminal(run: Run, people: TinyCRM) -> None:
    evil = {"name": "a\x1b[31mb[bold]c", "params": {"\x07": "\x1b"}}
    people.project("shop").identify("evil@example.com", **evil)  # type: ignore[arg-type]
    for command in (("customers",), ("show", "evil@example.com")):
        shown = run(*command).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[bold]c" in shown


def test_merge_and_undo(run: Run, people: TinyCRM) -> None:
    assert CliRunner().invoke(main, ["merge", "a@b.c", "d@e.f"], input="n\n").exit_code == 1
    run("merge", "alice@example.com", "nobody@example.com", "--yes", code=1)
    run("merge", "alice@example.com", "nonsense", "--yes", code=2)
    ident = json.loads(
        run("merge", "alice@example.com", "bo@example.com", "--yes", "--json").stdout
    )["merge"]
    assert people.customers.count() == 1
    assert "also bo@example.com" in run("show", "bo@example.com").stdout
    run("undo-merge", ident)
    assert people.customers.count() == 2
    run("undo-merge", ident, code=1)
    run("undo-merge", "nonsense", code=2)


def test_merge_asks_first(run: Run, people: TinyCRM, url: str) -> None:
    args = ["merge", "alice@example.com", "bo@example.com", "--database", url]
    assert CliRunner().invoke(main, args, input="n\n").exit_code == 1
    assert people.customers.count() == 2
    assert CliRunner().invoke(main, args, input="y\n").exit_code == 0
    assert people.customers.count() == 1


@pytest.fixture
def sheet(tmp_path: Path) -> str:
    path = tmp_path / "people.csv"
    path.write_text(
        "Who;Mail;Tier;Level\nAnn;ann@example.com;gold;3\nBen;nonsense;gold;1\n", encoding="cp1252"
    )
    return str(path)


def test_import_and_export(run: Run, sheet: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    how = ["--project", "shop", "--delimiter", ";", "--encoding", "cp1252", "--map", "name=Who"]
    how += ["--map", "email=Mail", "--map", "status=Tier", "--status-map", "gold=paid"]
    trial = run("import", sheet, *how, "--dry-run").stdout
    assert "Would be: 2 rows, 1 created, 1 rejected." in trial
    assert json.loads(run("customers", "--json").stdout)["customers"] == []
    report = json.loads(run("import", sheet, *how, "--rejects", str(rejects), "--json").stdout)
    assert (report["created"], report["rejected"]) == (1, 1)
    with rejects.open(encoding="utf-8", newline="") as stream:
        assert [row["email"] for row in csv.DictReader(stream)] == ["nonsense"]
    found = json.loads(run("customers", "status@shop:paid", "--json").stdout)["customers"]
    assert [each["email"] for each in found] == ["ann@example.com"]
    target = tmp_path / "out.jsonl"
    assert "1 row" in run("export", "project:shop", "-o", str(target)).stderr
    assert json.loads(target.read_text("utf-8"))["email"] == "ann@example.com"
    run("export", "-o", str(tmp_path / "out.csv"))
    assert "ann@example.com" in (tmp_path / "out.csv").read_text("utf-8")
    assert "ann@example.com" in run("export", "-o", "-", "--format", "jsonl").stdout


def test_a_broken_import_says_so(run: Run, sheet: str, tmp_path: Path) -> None:
    run("import", sheet, "--project", "shop", "--map", "email", code=2)
    run("import", sheet, "--project", "shop", "--map", "nope=Mail", code=2)
    run("import", sheet, "--project", "shop", "--preset", "django", "--map", "email=Mail", code=2)
    run("import", str(tmp_path / "nothing.csv"), "--project", "shop", code=2)
    only_bad = tmp_path / "bad.csv"
    only_bad.write_text("email\nnonsense\n", encoding="utf-8")
    assert "no row" in run("import", str(only_bad), "--project", "shop", code=1).stderr


@pytest.mark.usefixtures("people")
def test_a_failed_export_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old", encoding="utf-8")
    run("export", "statsu:paid", "-o", str(target), code=2)
    assert target.read_text("utf-8") == "old"
    assert not list(tmp_path.glob(".out*"))
    run("export", "-o", str(tmp_path / "missing" / "out.csv"), code=1)


def test_doctor(run: Run, tmp_path: Path) -> None:
    assert "no database" in run("doctor", code=1).stdout
    run("project", "add", "shop")
    assert "Nothing is wrong" in run("doctor").stdout
    secret = run("key", "create", "--project", "shop").stdout.strip()
    run("doctor", "--key", secret)
    strange = run("doctor", "--key", new_key("proj").secret, code=1).stdout
    assert "does not know it" in strange
    assert "checksum" in run("doctor", "--key", secret[:-1] + "~", code=1).stdout.replace(
        "a character other", "checksum"
    )
    body = json.loads(run("doctor", "--json").stdout)
    assert body == {"ok": True, "faults": []}
    (tmp_path / "text.db").write_text("this is no database" * 100)
    run("doctor", code=1, database=f"sqlite:///{tmp_path / 'text.db'}")


BAD_URLS = {
    "word": "geheim",
    "port": "postgresql+psycopg://u:geheim@localhost:geheim/x",
    "refused": "postgresql+psycopg://u:geheim@127.0.0.1:1/x",
    "dialect": "nope://u:geheim@localhost/x",
    "unsupported": "mysql://u:geheim@localhost/x",
}


@pytest.mark.parametrize("name", BAD_URLS)
@pytest.mark.parametrize("command", [("customers",), ("migrate",), ("doctor",), ("serve",)])
def test_passwords_of_urls_are_never_printed(run: Run, name: str, command: tuple[str]) -> None:
    arguments = ["--database", BAD_URLS[name]]
    done = CliRunner().invoke(main, [*command, *arguments])
    assert done.exit_code in (1, 2), done.output
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert "geheim" not in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize("args", [("bogus",), ("--bogus",), ("customers", "--bogus"), ("key", "x")])
def test_misuse_is_one_line_and_two(run: Run, args: tuple[str, ...]) -> None:
    assert run(*args, code=2).stderr.startswith("tinycrm: ")


def test_keys_in_messages_are_cut(run: Run) -> None:
    secret = new_key("proj").secret
    run("migrate")
    for args in (("show", secret), ("customers", f"nope:{secret}"), ("key", "revoke", secret)):
        done = CliRunner().invoke(main, [*args, "--database", "sqlite://"])
        assert done.exit_code in (1, 2)
        assert secret not in done.output


class Server:
    """`tinycrm` as a process that serves."""

    def __init__(self, *args: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinycrm_server", *args],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("Ctrl-C"):
                break

    def find(self, pattern: str) -> str:
        found = re.search(pattern, self.output)
        assert found, self.output
        return found[1]

    def get(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        port = int(self.find(r"http://127\.0\.0\.1:(\d+)/(?:enter|setup)"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.body = response.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return response

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout
        rest = self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(20)
        return rest


def test_the_demo_shows_five_products(tmp_path: Path) -> None:
    server = Server("demo", "--no-open", "--port", "0", folder=tmp_path)
    try:
        for product in ("newsletter", "linkbio", "analytics", "shop", "waitlist"):
            assert re.search(rf"{product} +[\d,]+ rows, [\d,]+ created", server.output)
        assert server.output.count("tcrm_proj_") == 4
        entered = server.get("/enter?code=" + server.find(r"/enter\?code=(\S+)"))
        assert entered.status == 303
        cookie = {"Cookie": str(entered.getheader("Set-Cookie")).partition(";")[0]}
        page = server.get("/?q=status@newsletter:free%20status@linkbio:paid", cookie)
        assert page.status == 200
        assert page.body.count('class="who"') == 50  # type: ignore[attr-defined]
        for command in re.findall(r"^  (curl .*)$", server.output, re.MULTILINE):
            done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
            assert json.loads(done.stdout)["joined"] is True
        found = server.get("/?q=alice@example.com", cookie)
        assert found.body.count('class="badge hue') == 2  # type: ignore[attr-defined]
    finally:
        rest = server.stop()
    assert "Traceback" not in rest
    assert not list(tmp_path.iterdir()), "the demo leaves nothing behind"


def test_serve_on_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "cannot listen" in run("serve", "--port", port, code=1).stderr
        assert "cannot listen" in run("demo", "--port", port, "--no-open", code=1).stderr
    assert threading.active_count() < 20


def test_serve_and_a_broken_pipe(tmp_path: Path) -> None:
    server = Server("serve", "--port", "0", folder=tmp_path)
    try:
        assert "sqlite:///tinycrm.db" in server.output
        assert server.get("/").headers["location"] == "/setup"
    finally:
        assert "Traceback" not in server.stop()
    command = f"{sys.executable} -m tinycrm_server customers --json | head -c 1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
