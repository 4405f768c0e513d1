"""How commands fail: one line on stderr and an exit code, never a traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from tinycrm_core import errors
from tinycrm_core.keys import redact

BAD_INPUT = (errors.InvalidInput, errors.InvalidKey, errors.NotSupported)


class Failed(click.ClickException):
    """Ends a command with one line on stderr and exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(" ".join(message.split())))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"tinycrm: {self.message}", file=file, err=file is None)


class Misused(Failed):
    """The same for bad input, with exit code 2."""

    exit_code = 2


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turns everything that is expected to go wrong into Failed."""
    try:
        yield
    except Failed:
        raise
    except click.UsageError as error:
        raise Misused(error.format_message()) from None
    except click.ClickException as error:
        raise Failed(error.format_message()) from None
    except errors.TinyCRMError as error:
        raise (Misused if isinstance(error, BAD_INPUT) else Failed)(str(error)) from None
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise Failed(f"{error.filename or 'file'}: {error.strerror or error}") from None


class Commands(click.Group):
    """A group of commands that fail in one line; without arguments it shows its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the command."""
        if not args:
            click.echo(self.get_help(ctx))
            ctx.exit(0)
        with in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with in_one_line():
            return super().invoke(ctx)
