"""Opening a file of unknown make: what it is, how it is encoded, what separates its cells."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

from tinycrm_core.errors import InvalidInput

DELIMITERS = (",", ";", "\t", "|")
MAX_LINE = 16 * 1024 * 1024
"""Characters of one line; a file with a longer one is refused before it fills the memory."""

_CHUNK = 1 << 16
_PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip (or an .xlsx workbook)"),
    (b"PK\x05\x06", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "PDF"),
)
_quoted = re.compile(r'"[^"]*"')
_line_ends = re.compile(r"\r\n|\r|\n")


class InvalidFile(InvalidInput):
    """A file that cannot be read as a whole; `line` is where, counted from 1, if it is known."""

    code = "invalid_file"

    def __init__(self, message: str, *, field: str | None = "file", line: int | None = None):
        super().__init__(message, field=field)
        self.line = line


class _Bytes(io.RawIOBase):
    """Any stream with `read`, text or binary, as bytes; counts them and never closes it."""

    def __init__(self, read: Callable[[int], Any]) -> None:
        self._source = read
        self.head = self._take(_CHUNK)
        self._ahead = self.head
        self.count = 0

    def _take(self, size: int) -> bytes:
        data = self._source(size)
        if isinstance(data, str):
            # A half surrogate becomes bytes that no UTF-8 reader takes: refused with its line.
            return data.encode("utf-8", "surrogatepass")
        return data or b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._ahead or self._take(max(len(buffer) // 4, 1))
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        self._ahead = data[size:]
        self.count += size
        return size


class TextFile:
    """A stream as lines of text, ends of lines kept, in constant memory.

    `encoding` is what was asked for or found: UTF-8, or UTF-16 where a byte order mark says so.
    Raises InvalidFile, or InvalidInput for an encoding nobody knows.
    """

    def __init__(self, stream: IO[bytes] | IO[str], encoding: str | None = None) -> None:
        self._bytes = _Bytes(stream.read)
        head = self._bytes.head
        for magic, kind in _PACKED:
            if head.startswith(magic):
                raise InvalidFile(f"file: this is {kind}, not text; unpack it or save it as CSV")
        self.encoding = _encoding(head, encoding)
        self._text = io.TextIOWrapper(
            io.BufferedReader(self._bytes, _CHUNK), encoding=self.encoding, newline=""
        )

    @property
    def read_bytes(self) -> int:
        """How much of the stream has been used."""
        return self._bytes.count

    def lines(self) -> Iterator[str]:
        """Every line. Raises InvalidFile at the first that the encoding does not allow."""
        number, readline = 0, self._text.readline
        try:
            while line := readline(MAX_LINE):
                number += 1
                if len(line) == MAX_LINE and line[-1] not in "\r\n":
                    raise InvalidFile(
                        f"file: line {number} is longer than {MAX_LINE} characters", line=number
                    )
                yield line
        except UnicodeError as error:
            raise undecodable(error, self.encoding, number) from None


def undecodable(error: UnicodeError, encoding: str, lines_before: int) -> InvalidFile:
    """The refusal of a file in another encoding, with the line of the first wrong byte."""
    line = lines_before + 1
    if isinstance(error, UnicodeDecodeError):
        good = bytes(error.object[: error.start]).decode(encoding, "ignore")
        line += len(_line_ends.findall(good))
    name = encoding.removesuffix("-sig")
    return InvalidFile(
        f"file: line {line} is not {name.upper()}; name the encoding, for example cp1252",
        field="encoding",
        line=line,
    )


def _encoding(head: bytes, wanted: str | None) -> str:
    if wanted is not None:
        try:
            found = codecs.lookup(wanted)
            "".encode(wanted)
        except (LookupError, TypeError, ValueError):
            raise InvalidInput(
                f"encoding: {ascii(wanted)[:60]} is not a known text encoding", field="encoding"
            ) from None
        return "utf-8-sig" if found.name == "utf-8" else found.name
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head[:512]:
        raise InvalidFile(
            "file: NUL bytes in the first line; if this is UTF-16 without a byte order mark, "
            "name the encoding, for example utf-16-le",
            field="encoding",
            line=1,
        )
    return "utf-8-sig"


def check_encoding(stream: IO[bytes], encoding: str) -> None:
    """Decode the rest of a binary stream, so that a file in another encoding changes nothing."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 0
    while True:
        data = stream.read(1 << 20)
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeError as error:
            raise undecodable(error, encoding, line) from None
        line += len(_line_ends.findall(text))
        if not data:
            return


def find_delimiter(line: str, is_email: Callable[[str], bool]) -> str:
    """The delimiter of a header line: one that yields an email column, else the most frequent."""
    bare = _quoted.sub("", line)

    def rank(delimiter: str) -> tuple[bool, int]:
        cells = line.split(delimiter)
        named = any(is_email(cell.strip().strip('"')) for cell in cells)
        return named, bare.count(delimiter)

    return max(DELIMITERS, key=rank)


def clean_delimiter(delimiter: str) -> str:
    """One of the four delimiters, or InvalidInput."""
    if delimiter in DELIMITERS:
        return delimiter
    raise InvalidInput("delimiter: must be a comma, semicolon, tab or bar", field="delimiter")
