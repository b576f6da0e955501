"""How Sphinx builds the docs as a site: `make docs`.

The pages are the Markdown files of the checkout, as they are: what a forge shows, the site shows,
and a link works in both. Only the order of the pages, which Markdown has no word for, is here.
"""

from pathlib import Path

from msgspec import Struct
from sphinx.application import Sphinx

import vemoclap_client

PROJECT = Path(__file__).parents[2]

PAGES = {
    "First steps": ["docs/from-the-paper", "docs/app", "docs/setup"],
    "Clips and results": ["docs/files", "docs/links", "docs/timeline", "docs/batch"],
    "Programs": ["docs/http-api", "docs/api/client", "docs/api/documents", "docs/api/errors"],
    "Models": [
        "docs/profiles",
        "docs/zero-shot",
        "docs/training",
        "docs/evaluation",
        "docs/faces",
        "docs/parity",
    ],
    "Servers": [
        "docs/serving",
        "docs/docker",
        "docs/kubernetes",
        "docs/security",
        "docs/observability",
        "docs/performance",
    ],
    "Development": [
        "docs/architecture",
        "CONTRIBUTING",
        "docs/api/internals",
        "CHANGELOG",
    ],
}
"""Heading of the menu -> its pages. Pages that are in none come last, under "More"."""
TWIGS = ("├", "└")

project = "VEMOCLAP on Triton"
copyright = "the authors of VEMOCLAP on Triton; Apache-2.0"  # noqa: A001
version = release = vemoclap_client.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [folder.name for folder in PROJECT.iterdir() if folder.is_dir()]
exclude_patterns.remove("docs")

html_theme = "furo"
html_title = project
html_copy_source = False
templates_path = ["."]
html_additional_pages = {"index": "index.html"}

myst_heading_anchors = 4
"""Headings have the names that forges give them, for links such as files.md#speech."""
myst_links_external_new_tab = False

default_role = "code"
"""A single backquote in a docstring is code, as in Markdown."""
napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
suppress_warnings = ["ref.python"]
"""Of an error's name that client and export both have: the nearer one is linked."""


def setup(app: Sphinx) -> None:
    """Registers what is ours with Sphinx."""
    app.connect("source-read", _add_menu)
    app.connect("autodoc-process-docstring", _keep_trees)
    app.connect("autodoc-process-signature", _name_fields)


def _add_menu(_app: Sphinx, page: str, text: list[str]) -> None:
    """Appends the menu, which is not to be seen in the page itself, to the first page."""
    if page == root_doc:
        listed = {entry for pages in PAGES.values() for entry in pages}
        others = {f"docs/{path.stem}" for path in PROJECT.glob("docs/*.md")} - listed
        menu = {**PAGES, "More": sorted(others)} if others else PAGES
        for heading, pages in menu.items():
            entries = "\n".join(pages)
            text[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{entries}\n```\n"


def _keep_trees(
    _app: Sphinx, _kind: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Keeps the lines of a tree that is drawn in a docstring, such as that of the errors."""
    branches = [number for number, line in enumerate(lines) if line.lstrip("│ ").startswith(TWIGS)]
    if branches:
        root = branches[0] - 1
        drawn = [f"   {line}" for line in lines[root : branches[-1] + 1]]
        lines[root : branches[-1] + 1] = ["::", "", *drawn]


def _name_fields(
    _app: Sphinx, _kind: str, _name: str, documented: object, *_others: object
) -> tuple[str, str] | None:
    """Shows the names of a document's fields; their types have limits that would fill the page."""
    if isinstance(documented, type) and issubclass(documented, Struct):
        return f"({', '.join(documented.__struct_fields__)})", ""
    return None
