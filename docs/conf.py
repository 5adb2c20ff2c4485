"""Sphinx's settings. ``python -m docs.site`` builds the site with them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx_cam

project = "onnx-cam"
author = "the authors of onnx-cam"
version = release = onnx_cam.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "docs.site.mathml",
    "docs.site.command_help",
    "docs.site.repository",
    "docs.site.llms",
    "docs.site.pictures",
]
exclude_patterns = ["_build", "gallery/**", "site/**"]
nitpicky = True
highlight_language = "none"

# Markdown. Anchors are GitHub's, so that links work there, too.
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# The notebook is run when the site is built; an error in it fails the build.
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# The reference, from the docstrings.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "onnx-cam"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = True
html_sourcelink_suffix = ""  # llms.txt leads to the sources under their own names
html_sidebars = {"**": ["pages"]}
html_theme_options = {
    "navbar_center": [],
    "navbar_persistent": [],
    "navbar_end": ["search-button-field", "theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "coming-from": [], "gallery": [], "index": []},
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copyright = "the authors of onnx-cam. Licence: Apache-2.0"
