"""The JavaScript client against a real server, run by Node, and by Deno and Bun where they are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.programs import program
from tests.server.live import Live, serving
from tests.sources import ROOT
from tinycrm_core.client import TinyCRM

CLIENT = ROOT / "clients" / "js" / "tinycrm.js"


COMMANDS = {
    "node": ("--input-type=module", "-"),
    "deno": ("run", "--no-prompt", "--allow-net", "-"),
    "bun": ("run", "-"),
}
# Node has to be there; the others are extra.
FOUND = ["node", *(name for name in ("deno", "bun") if shutil.which(name))]


@pytest.fixture(params=FOUND)
def runtime(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs a module from its input."""
    return [program(request.param), *COMMANDS[request.param]]


@pytest.fixture
def live() -> Iterator[Live]:
    with TinyCRM("memory://") as crm, serving(crm) as server:
        crm.projects.add("shop")
        server.keys["shop"] = crm.keys.create("shop").secret
        yield server


def run(runtime: list[str], script: str, **given: object) -> Any:
    """What the script writes with `say`; `given` are its constants."""
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in given.items())
    head = f"import {{ TinyCRM }} from {json.dumps(CLIENT.as_uri())}; {constants}"
    head += "const said = []; const say = (each) => said.push(each);"
    tail = "; process.stdout.write(JSON.stringify(said));"
    done = subprocess.run(
        runtime,
        input=head + script + tail,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_both_forms_report_people(runtime: list[str], live: Live) -> None:
    said = run(
        runtime,
        """
        const one = new TinyCRM(`http://${key}@127.0.0.1:${port}`);
        const two = new TinyCRM({ apiKey: key, url: `http://127.0.0.1:${port}/` });
        say(await one.identify("Alice@example.com", {
            name: "Alice", status: "paid", params: { plan: "pro" }, set_once: { source: "launch" },
        }));
        say(await two.identify("alice@example.com", { unset: ["plan"] }));
        say(await two.ping("alice@example.com"));
        say(await two.ping("nobody@example.com", new Date()));
        say(await two.changeEmail("alice@example.com", "alice@chen.example"));
        """,
        key=live.keys["shop"],
        port=live.port,
    )
    assert [each.get("action", each.get("known")) for each in said] == [
        "created", "updated", True, False, True,
    ]  # fmt: skip
    alice = live.crm.customers.get("alice@example.com")
    assert alice is not None
    assert (alice.email, alice.aliases) == ("alice@chen.example", ("alice@example.com",))
    shop = alice.on("shop")
    assert shop is not None
    assert (alice.name, shop.status, shop.params) == ("Alice", "paid", {"source": "launch"})


def test_what_happened_earlier_changes_nothing_newer(runtime: list[str], live: Live) -> None:
    run(
        runtime,
        """
        const crm = new TinyCRM({ apiKey: key, url: `http://127.0.0.1:${port}` });
        await crm.identify("a@example.com", { status: "paid" });
        await crm.identify("a@example.com", { status: "trial", at: new Date(Date.now() - 1e6) });
        """,
        key=live.keys["shop"],
        port=live.port,
    )
    person = live.crm.customers.get("a@example.com")
    assert person is not None
    assert [each.status for each in person.memberships] == ["paid"]


def test_nothing_is_thrown_once_it_stands(runtime: list[str], live: Live) -> None:
    """Q1: bad input, a wrong key and a server that is not there are results."""
    said = run(
        runtime,
        """
        const url = `http://127.0.0.1:${port}`;
        const seen = [];
        const onError = (error) => { seen.push(error.code); throw new Error("from onError"); };
        const crm = new TinyCRM({ apiKey: key, url, onError });
        say(await crm.identify("not an address"));
        say(await crm.identify("a@example.com", { at: "soon" }));
        say(await crm.identify("a@example.com", { status: "payd" }));
        say(await crm.identify("a@example.com", { params: { big: 1n } }));
        say(await new TinyCRM({ apiKey: key + "x", url }).ping("a@example.com"));
        const gone = new TinyCRM({ apiKey: key, url: "http://127.0.0.1:1", retries: 0, onError });
        say(await gone.ping("a@example.com"));
        gone.ping("a@example.com");
        say(seen);
        """,
        key=live.keys["shop"],
        port=live.port,
    )
    *errors, seen = said
    assert [each["error"].get("field") for each in errors] == [
        "email", None, "status", None, None, None,
    ]  # fmt: skip
    codes = [each["error"]["code"] for each in errors]
    assert codes[1] == "invalid"
    assert codes[4:] == ["unauthorized", "network"]
    assert seen == codes[:4] + codes[5:]
    assert live.crm.customers.count() == 0


def test_q17_the_key_stays_here(runtime: list[str], live: Live) -> None:
    """Q17: it is not printed, not in the address, and not sent to where a redirect points."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{live.port}/v1/identify")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        said = run(
            runtime,
            """
            import { inspect } from "node:util";
            const url = `http://${key}@127.0.0.1:${port}`;
            const crm = new TinyCRM(url, { retries: 0 });
            say(inspect(crm, { showHidden: true, depth: 9 }) + JSON.stringify(crm));
            say(await crm.identify("a@example.com"));
            """,
            key=live.keys["shop"],
            port=server.server_address[1],
        )
        server.shutdown()
    assert live.keys["shop"] not in said[0]
    assert said[1]["error"]["code"] == "network"
    assert asked == ["/v1/identify"]
    assert live.crm.customers.count() == 0


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (429, 3), (408, 3), (422, 1), (401, 1)])
def test_q9_it_tries_again_with_the_same_event(runtime: list[str], status: int, tries: int) -> None:
    """Q9: the same event goes out again where that can help, and nowhere else."""
    bodies: list[dict[str, Any]] = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            text = b'{"error": {"code": "busy"}}' if len(bodies) < 3 else b'{"known": true}'
            self.send_response(status if len(bodies) < 3 else 200)
            self.send_header("Retry-After", "0.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        [answer] = run(
            runtime,
            "say(await new TinyCRM(`http://KEY@127.0.0.1:${port}`).ping('a@example.com'));",
            port=server.server_address[1],
        )
        server.shutdown()
    assert len(bodies) == tries
    assert answer == ({"known": True} if tries == 3 else {"error": answer["error"]})
    assert len({each["at"] for each in bodies}) == 1
    assert len({each["sent_at"] for each in bodies}) == tries


WORKER = """
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
const asked = (url, options) => {
    if (!["follow", "manual"].includes(options.redirect)) throw new TypeError("no such redirect");
    return fetch(url, options);
};
const code = readFileSync(new URL(client), "utf8").replace("export class", "TinyCRM = class");
const globals = createContext({ fetch: asked, AbortSignal, URL, setTimeout });
runInContext(`var TinyCRM; ${code}`, globals);
const found = runInContext("[typeof process, typeof Buffer, typeof require]", globals);
const crm = new globals.TinyCRM({ apiKey: key, url: `http://127.0.0.1:${port}` });
say([...found]);
say(await crm.identify("worker@example.com", { status: "paid" }));
say(await crm.ping("worker@example.com"));
"""


def test_a_worker_has_fetch_and_nothing_of_node(live: Live) -> None:
    """Cloudflare's refuse what a redirect must not do there, and have no `process`."""
    node = [program("node"), *COMMANDS["node"]]
    said = run(node, WORKER, key=live.keys["shop"], port=live.port, client=CLIENT.as_uri())
    assert said[0] == ["undefined"] * 3
    assert [each.get("action", each.get("known")) for each in said[1:]] == ["created", True]
    assert live.crm.customers.count("status@shop:paid") == 1


def test_the_client_is_small() -> None:
    """Less than 2 KB without comments and spaces, even before names are shortened."""
    lines = (line.strip() for line in CLIENT.read_text().splitlines())
    code = "\n".join(each for each in lines if not each.startswith("//"))
    assert len(re.sub(r"\s*([{}()=:;,?<>&|])\s*", r"\1", code)) < 2048
