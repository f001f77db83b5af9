"""The documentation site: ``nox -s docs`` builds it into ``build/site``."""

from __future__ import annotations

import builtins
import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

from pinterest_audiences import __version__

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "scripts"))

import cli_reference  # noqa: E402 - on the path since the line above
import terminal_pictures  # noqa: E402

PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCE = str(PROJECT.get("urls", {}).get("Source", ""))

project = "pinterest-audiences"
author = copyright = "The pinterest-audiences authors"  # noqa: A001 - Sphinx reads this name
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
default_role = "py:obj"
highlight_language = "text"
smartquotes_action = "D"  # dashes, and quotes that can be copied
html_theme = "furo"
html_title = "pinterest-audiences"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
if SOURCE:
    html_theme_options = {
        "source_repository": SOURCE,
        "source_branch": "main",
        "source_directory": "docs/",
    }

# The button of a block copies its commands: no prompts, and no output.
copybutton_prompt_text = r"\$ |>>> |\.\.\. ?"
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = False
copybutton_line_continuation_character = "\\"

myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # JSON that is cut with …, SQL with dbt's braces

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

PICTURE = re.compile(r"<!-- picture: (\S+): (.+) -->")
FIGURE = "```{figure} \\1\n:alt: \\2\n:figclass: terminal\n```"
OUTSIDE = re.compile(r"\[([^][]+)\]\((?:\.\./)+((?:examples|dbt|Dockerfile|[A-Z]+\.md)[^)]*)\)")


def draw_pictures(app: Sphinx) -> None:
    """Draw the pictures of the terminal."""
    terminal_pictures.main(DOCS / "_static" / "terminal")


def outdated_pages(*_: object) -> list[str]:
    """Return the pages that are made from the program, and so are read for each build."""
    return ["cli-reference"]


def read_source(app: Sphinx, page: str, source: list[str]) -> None:
    """Write the commands into their page, show pictures, and link to files outside of the site.

    A picture of the terminal is a comment in the source, because it is drawn with the site only.
    """
    if page == "cli-reference":
        source[0] = source[0].replace("<!-- commands -->", cli_reference.reference())
    source[0] = PICTURE.sub(FIGURE, source[0])
    link = rf"[\1]({SOURCE}/blob/main/\2)" if SOURCE else r"\1"
    source[0] = OUTSIDE.sub(link, source[0])


def find_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Link short names in docstrings to the package; warn of a role that refers to nothing."""
    target = str(node.get("reftarget"))
    entry = env.domains.python_domain.objects.get(f"pinterest_audiences.{target}")
    if entry is not None:
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text)
    checked = isinstance(text, nodes.literal) and node.get("reftype") not in ("obj", "doc", "myst")
    if checked and not hasattr(builtins, target):
        logging.getLogger(__name__).warning("%s is not documented", target, location=node)
    return None


def analyze_without_overloads(self: ModuleAnalyzer) -> None:
    """Read a module; a method with overloads is shown once, with all of its arguments."""
    analyze(self)
    self.overloads = {}


analyze = ModuleAnalyzer.analyze
ModuleAnalyzer.analyze = analyze_without_overloads  # type: ignore[method-assign]


def setup(app: Sphinx) -> None:
    """Connect the functions of this file."""
    app.add_lexer("cron", TextLexer)
    app.connect("builder-inited", draw_pictures)
    app.connect("env-get-outdated", outdated_pages)
    app.connect("source-read", read_source)
    app.connect("missing-reference", find_public_name)
