"""Running the server, for a product or for a look."""

from __future__ import annotations

import shlex
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_server.app import create_app
from tinycrm_server.commands.console import masked, on_database, open_crm
from tinycrm_server.commands.failing import Failed
from tinycrm_server.commands.transfer import totals
from tinycrm_server.logs import set_up_logs
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.setup import Setup
from tinycrm_server.owners.tables import Place
from tinycrm_server.pages.entrance import Entrance
from tinycrm_server.pages.link import LinkDoor
from tinycrm_server.running import application, run
from tinycrm_server.sample import load_sample
from tinycrm_server.settings import Settings, read_settings

PORT = 8765


@click.command()
@click.option("--host", help="The address to listen on; 127.0.0.1 if left out.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 8765 if left out.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer; one.")
@on_database
def serve(database: str, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the API and the pages. Everything else is set by TINYCRM_*."""
    settings = read_settings(database=database, host=host, port=port, workers=workers)
    if settings.workers > 1 and database.startswith("memory:"):
        raise InvalidInput("workers: memory belongs to one process", field="workers")
    crm = open_crm(settings.database)
    try:
        # Makes the tables of an empty database, and refuses others that are not ours.
        crm.projects.list()
        place = Place(crm.store)
        listening = _listen(settings.host, settings.port)
        address = _address(listening)
        if not Owners(place).any():
            click.echo(f"Nobody owns this server yet. Open {address}{settings.root_path}/setup")
            click.echo(f"The token of the setup, once, within a day: {Setup(place).new_token()}")
        click.echo(f"Serving {masked(settings.database)} on {address}")
        click.echo("Ctrl-C ends it.")
        set_up_logs(settings)
        app = application(crm, settings) if settings.workers == 1 else None
        if app is None:
            crm.close()
        run(app, listening, settings)
    finally:
        crm.close()


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 8765 or a free one.")
@click.option("--no-open", is_flag=True, help="Only print the link, do not open a browser.")
@click.option("--db", type=click.Path(path_type=Path), help="Keep the sample in this SQLite file.")
def demo(port: int | None, no_open: bool, db: Path | None) -> None:
    """Show five products with people who overlap, in a browser on this machine."""
    with ExitStack() as ending:
        if db is None:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="tinycrm-demo-"))
            db = Path(folder) / "demo.db"
        crm = open_crm(f"sqlite:///{db}")
        ending.callback(crm.close)
        click.echo("Five products and the people they exported:")
        for project, report in load_sample(crm):
            click.echo(f"  {project:<11} {totals(report)}")
        people, shared = crm.customers.count(), crm.customers.count("projects>=2")
        click.echo(f"{people:,} people, {shared:,} of them on two or more products.")
        listening = _listen("127.0.0.1", PORT if port is None else port, or_any=port is None)
        _print_keys(crm, _address(listening))
        _run(crm, listening, (lambda link: None) if no_open else _open_soon)


def _print_keys(crm: TinyCRM, address: str) -> None:
    """Fresh keys and commands that use them; those of an earlier demo end."""
    for key, _ in crm.keys.list():
        if key.label == "demo" and key.revoked_at is None:
            crm.keys.revoke(key.id)
    newsletter = crm.keys.create("newsletter", label="demo").secret
    shop = crm.keys.create("shop", label="demo").secret
    click.echo(f"\nKeys of this demo:\n  newsletter  {newsletter}\n  shop        {shop}")
    click.echo("\nReport somebody, once from each product, and look for one row with two badges:")
    person = '{"email": "alice@example.com", "name": "Alice Chen"'
    click.echo(_curl(address, newsletter, person + "}"))
    click.echo(_curl(address, shop, person + ', "status": "paid", "params": {"plan": "pro"}}'))


def _curl(address: str, key: str, body: str) -> str:
    headers = [f"Authorization: Bearer {key}", "Content-Type: application/json"]
    options = " ".join(f"-H {shlex.quote(each)}" for each in headers)
    return f"  curl {address}/v1/identify {options} -d {shlex.quote(body)}"


def _open_soon(link: str) -> None:
    # The server answers a moment after this; the browser waits for it in its own time.
    timer = threading.Timer(0.5, webbrowser.open, [link])
    timer.daemon = True
    timer.start()


def _listen(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if or_any:
            return socket.create_server((host, 0), family=family)
        raise Failed(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    # Whoever listens everywhere is found here too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(crm: TinyCRM, listening: socket.socket, opened: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, having printed a link and passed it to `opened`."""
    address = _address(listening)

    def announce(code: str) -> None:
        click.echo(f"\nOpen the pages, once: {address}/enter?code={code}")

    entrance = Entrance(announce)
    code = entrance.new_code()
    announce(code)
    opened(f"{address}/enter?code={code}")
    click.echo("Ctrl-C ends it.")
    settings = Settings(log_level="warning", log_format="text", workers=1, trusted_proxies="")
    set_up_logs(settings)
    app = create_app(crm, door=LinkDoor(entrance), settings=settings)
    run(app, listening, settings)
