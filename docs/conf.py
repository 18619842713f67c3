"""The documentation as a site: `make docs`.

Sphinx with MyST reads the Markdown files as they are shown in the repository. The source folder is
the repository itself, so that pages may link to files beside `docs/`. Furo's pages load nothing
from other hosts, and MyST-NB shows the notebook with the output that it was saved with. Why these:
docs/decisions/0004-docs-site.md.
"""

from importlib.metadata import version as version_of

project = "lrgd"
version = release = version_of("lrgd")
extensions = ["myst_nb"]

root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**", "results/*.md"]
exclude_patterns = [".*", "build", "runs"]

myst_heading_anchors = 3
nb_execution_mode = "off"

html_theme = "furo"
html_title = "lrgd"
html_show_sourcelink = False
html_show_copyright = False
templates_path = ["templates"]
html_additional_pages = {"index": "redirect.html"}
