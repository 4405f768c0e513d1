"""How Sphinx builds the documentation."""

from importlib.metadata import version as installed_version

project = "TinyCRM"
author = "The TinyCRM authors"
copyright = author
release = version = installed_version("tinycrm")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

# Docstrings write `name` for code, as the rest of the project does.
default_role = "code"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = "TinyCRM"
html_copy_source = False
