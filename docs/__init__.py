"""The documentation: its pages, and in `docs.site` the program that builds the site from them."""
