"""The commands and programs that the docs show, read from their Markdown."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.launching import PROJECT

PAGES = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), PROJECT / "client" / "README.md"]
)
SHELL, PYTHON = ("sh",), ("python", "py")
SEPARATORS = {"&&", "||", ";", "|", "(", ")", "{", "}", "&"}
KEYWORDS = {"if", "then", "else", "elif", "exec", "do", "!"}
REDIRECTIONS = {"<", ">", ">>", "2>", ">&"}
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Command:
    """One simple command of a shell.

    Attributes:
        page: the Markdown file, from the project's folder.
        words: the program and its arguments.
        folder: where the page has it run, after its `cd`.
        is_whole: false for what stands inside a sentence, such as `vemoclap batch --features`,
            which names a command and need not be complete.
    """

    page: str
    words: tuple[str, ...]
    folder: Path = PROJECT
    is_whole: bool = True

    @property
    def program(self) -> str:
        return Path(self.words[0]).name

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block, also of those in lists."""
    found = FENCE.findall(page.read_text())
    return [(str(language), dedent(text)) for _, language, text in found]


def unfenced(page: Path) -> str:
    """The page without its blocks."""
    return FENCE.sub("", page.read_text())


def programs(page: Path) -> list[str]:
    """The page's blocks of Python."""
    return [text for language, text in fences(page) if language in PYTHON]


def shell_commands(page: Path) -> Iterator[Command]:
    """The commands of the page's blocks for a shell."""
    for language, text in fences(page):
        if language in SHELL:
            folder = PROJECT
            for words in simple_commands(text):
                if words[0] == "cd":
                    folder = PROJECT if words[1].startswith(("-", "..")) else folder / words[1]
                yield Command(name_of(page), words, folder)


def inline_commands(page: Path, named: set[str]) -> Iterator[Command]:
    """The commands of these programs that stand inside sentences, in backquotes."""
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", unfenced(page)):
        first, _, others = span.partition(" ")
        if others and Path(first).name in named:
            yield from (Command(name_of(page), words, PROJECT, False) for words in _split(span))


def simple_commands(script: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a script, without what is assigned before them and redirected."""
    for line in script.replace("\\\n", " ").splitlines():
        yield from _split(line)


def _split(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    tokens = iter([*lexer, ";"])
    for token in tokens:
        if token in REDIRECTIONS:
            next(tokens)
        elif token not in SEPARATORS:
            words.append(token)
        else:
            while words and (words[0] in KEYWORDS or ASSIGNMENT.match(words[0])):
                del words[0]
            if words:
                yield tuple(words)
            words = []
