"""What the command line says, in the language of the terminal: help, lines, tables, and click's own words.

What machines read (CSV, JSON, paths, hashes, names of columns) goes through none of this.
"""

from __future__ import annotations

import codecs
import os
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import click
import click.core
import click.exceptions
import click.formatting
import click.parser
import click.termui
import click.types

from workbench.catalogue import entry
from workbench.errors import unknown
from workbench.messages import LANGUAGES, Message, word
from workbench.reports.page.languages import spoken
from workbench.reports.page.tables import width

CLICK = (click.core, click.exceptions, click.formatting, click.parser, click.termui, click.types)
"""The parts of click that say something when the command runs; each has gettext as `_`."""

KINDS = ("[OPTIONS]", "COMMAND [ARGS]...", "INTEGER RANGE", "FLOAT RANGE", "TEXT")
"""What click calls the places of a command."""

_PIECE = re.compile(r"[（《“‘【]*(?:[\x21-\x7e]+|[^\s\x21-\x7e（《“‘【])[，。；：？！、）》”’】…—]*|\s+")
_LEAST = 8  # columns of a cell that is cut
_EXPLAINED = re.compile(r"(?<=\S)(\s{2,})(\S.*)$")


def speak() -> None:
    """Let streams take what is said, and click say its own words in the language of the terminal."""
    codecs.register_error("readable", _readable)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=_encoding(stream.encoding), errors="readable")
    for module in CLICK:  # gettext itself reads compiled catalogues alone
        vars(module).update({name: said for name, said in _GETTEXT.items() if name in vars(module)})


def _encoding(own: str | None) -> str:
    """Keep an encoding that has Chinese (a GBK console shows nothing else); UTF-8 instead of any other."""
    try:
        "中文".encode(own or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "utf-8"
    return own or "utf-8"


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks as what is nearest to it, or by its number."""
    if isinstance(error, UnicodeEncodeError) and set(error.object[error.start : error.end]) <= _NEAREST.keys():
        return "".join(_NEAREST[sign] for sign in error.object[error.start : error.end]), error.end
    return codecs.backslashreplace_errors(error)


_NEAREST = {"−": "-", "\xa0": " ", "¥": "￥"}


_GETTEXT: dict[str, Any] = {
    "_": lambda text: entry(text, spoken()),
    "ngettext": lambda one, many, n: entry(one if n == 1 else many, spoken()),
}


def complaint(error: click.ClickException) -> str:
    """Give what click complains of, as a whole sentence."""
    said = error.format_message().rstrip()
    if spoken() == LANGUAGES[0]:
        said = said.replace("valid integer range", "whole number").replace("valid float range", "number")
        return said if said.endswith((".", "?")) else f"{said}."
    said = re.sub(r"(?<=[一-鿿。]) (?=\W|[一-鿿])", "", said).rstrip(".。")  # click glues what it says with spaces
    said = re.sub(r"'([^']*)'", r"“\1”", said)
    return said if said.endswith("？") else f"{said}。"


def echo(text: str, **how: Any) -> None:
    """Say a line: a message, or a text that has an entry; anything else as it is. Takes what `click.echo` takes."""
    click.echo(word(text, spoken()), **how)


def heads(*texts: str) -> list[str]:
    """Say the heads of a table."""
    return [word(text, spoken()) for text in texts]


def room() -> int:
    """Give the columns of the terminal; 0, any number, where lines go elsewhere and COLUMNS does not say."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else 0


def echo_folded(text: str) -> None:
    """Say a message, or a text as it is, folded where the terminal ends; all of it is indented as its beginning."""
    said, most = text.said(spoken()) if isinstance(text, Message) else text, room()
    start = len(said) - len(said.lstrip())
    for line in folded(said, most - start) if most else [said[start:]]:
        click.echo(" " * start + line)


def print_table(head: list[str], rows: Iterable[list[str]], indent: int = 0, file: TextIO | None = None) -> None:
    """Print a table, its columns as wide as what stands in them; into a `file` whatever that takes.

    What the terminal has no columns for is folded: the last column, beside the others if a third of the line is left
    for it, else below them; the widest of the others are cut to what fits.
    """
    grid, most = [head, *rows], 0 if file else room()
    widths = [max(width(row[i]) for row in grid) for i in range(len(head))]
    rest = most - indent - sum(widths[:-1]) - 2 * (len(widths) - 1)
    below = 0 < most and rest < min(widths[-1], most // 3)
    while below and indent + sum(widths[:-1]) + 2 * (len(widths) - 2) > most and max(widths[:-1]) > _LEAST:
        widths[widths.index(max(widths[:-1]))] -= 1
    for row in grid:
        cells = [clipped(cell, w) for cell, w in zip(row[:-1], widths, strict=False)] if below else row[:-1]
        line = " " * indent + "".join(
            cell + " " * (w - width(cell) + 2) for cell, w in zip(cells, widths, strict=False)
        )
        start = indent + 4 if below else width(line)
        last = folded(row[-1], most - start) if 0 < most < start + width(row[-1]) else [row[-1]]
        click.echo(line.rstrip() if below else f"{line}{last.pop(0)}".rstrip(), file)
        for part in filter(None, last):
            click.echo(f"{' ' * start}{part}", file)


def clipped(text: str, most: int = 80) -> str:
    """Put a text on one line of so many columns at most.

    >>> clipped("one  two", 5), clipped("满意度指数", 7), clipped("满意度", 6)
    ('one …', '满意度…', '满意度')
    """
    text = " ".join(text.split())
    if width(text) <= most:
        return text
    while width(text) >= most:
        text = text[:-1]
    return f"{text}…"


def folded(text: str, most: int) -> list[str]:
    """Break a text into lines of so many columns; Han characters count two, and closing marks begin no line.

    >>> folded("先运行 workbench report，再看。", 12)
    ['先运行', 'workbench', 'report，再', '看。']
    >>> folded("一二三，四", 6)
    ['一二', '三，四']
    """
    lines = [""]
    pieces = (piece[at : at + most] for piece in _PIECE.findall(text) for at in range(0, len(piece), max(most, 1)))
    for piece in pieces:
        if lines[-1] and width(lines[-1] + piece) > most and not piece.isspace():
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]


class _Formatter(click.HelpFormatter):
    """Says help by the catalogue: a paragraph, or the words beside an option, are the key."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _kinds_said(args), prefix or entry("Usage:", spoken()))

    def write_heading(self, heading: str) -> None:
        self.write(f"{' ' * self.current_indent}{heading}：\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for i, paragraph in enumerate(text.split("\n\n")):
            self.write("\n" * (i > 0))
            if paragraph.startswith("\b"):
                lines = [_example(line) for line in paragraph.splitlines()[1:]]
            else:
                lines = folded(entry(" ".join(paragraph.split()), spoken()), self.width - len(indent))
            self.write("".join(f"{indent}{line}".rstrip() + "\n" for line in lines))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows, indent = [(_kinds_said(name), text) for name, text in rows], self.current_indent
        first = min(max(width(name) for name, _ in rows), col_max) + col_spacing
        for name, text in rows:
            lines = folded("  [".join(_option(part) for part in text.split("  [")), self.width - first - indent)
            own = [] if width(name) > first - col_spacing else [f"{name}{' ' * (first - width(name))}{lines.pop(0)}"]
            placed = own or [name]
            self.write("".join(f"{' ' * indent}{line}".rstrip() + "\n" for line in placed))
            self.write("".join(f"{' ' * (indent + first)}{line}\n" for line in lines))


def _kinds_said(text: str) -> str:
    """Say what click calls the places of a command; names of ours (STUDY, FILE) are what texts point to, and stay."""
    for kind in KINDS:
        text = re.sub(rf"(?<![\w[]){re.escape(kind)}(?!\w)", entry(kind, spoken()), text)
    return text


def _option(part: str) -> str:
    """Say what stands beside an option: its help, or what follows in brackets."""
    inside, close = (part[:-1], "]") if part.endswith("]") else (part, "")
    return "；".join(entry(piece, spoken()) for piece in inside.split("; ")) + close if close else entry(part, spoken())


def _example(line: str) -> str:
    """Say a line of examples: a heading, or a command and, after a gap, what it does; the command stays."""
    explained = _EXPLAINED.sub(lambda found: found[1] + entry(found[2], spoken()), line)
    return explained if line.startswith(" ") else entry(line, spoken())


class _Context(click.Context):
    """Has help in English said by click itself."""

    def make_formatter(self) -> click.HelpFormatter:
        self.formatter_class = click.HelpFormatter if spoken() == LANGUAGES[0] else _Formatter
        return super().make_formatter()


class Command(click.Command):
    """A command whose help is said in the language of the terminal."""

    context_class = _Context

    def get_short_help_str(self, limit: int = 45) -> str:
        """Give the first sentence, in as many columns as there are."""
        if spoken() == LANGUAGES[0]:
            return super().get_short_help_str(1_000)
        first = " ".join((self.help or "").partition("\n\n")[0].split())
        return clipped(entry(first, spoken()).partition("。")[0], limit)


class Commands(Command, click.Group):
    """A group that answers a mistyped command with the nearest one."""

    command_class = Command
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)
