"""Build the site, and fail on any warning, on any broken link and on any command of the gallery that fails."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from docs.site.gallery import run_gallery
from docs.site.links import check_links

DOCS = Path(__file__).resolve().parents[1]


@click.command()
@click.option("--quick", is_flag=True, help="Keep the gallery's pictures, and do not run the notebook again.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=DOCS / "_build" / "html",
    show_default="docs/_build/html",
    help="Folder of the site.",
)
def build(quick: bool, out: Path) -> None:
    """Build the documentation, and fail on any warning and on any broken link."""
    started = time.monotonic()
    if not quick:
        click.echo(f"gallery: {run_gallery()} steps, {time.monotonic() - started:.0f} s")
    notebook = "off" if quick else "force"
    command = ["sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--define", f"nb_execution_mode={notebook}"]
    finished = subprocess.run([sys.executable, "-m", *command, str(DOCS), str(out)], check=False, cwd=DOCS.parent)
    if finished.returncode:
        sys.exit(finished.returncode)
    links = check_links(out)
    click.echo(f"external links, not fetched: {len(links.external)}")
    for address in links.external:
        click.echo(f"  {address}")
    for link in links.broken:
        click.echo(f"broken link: {link}", err=True)
    click.echo(f"{out}: {links.pages} pages, {len(links.broken)} broken links, {time.monotonic() - started:.0f} s")
    sys.exit(bool(links.broken))


if __name__ == "__main__":
    build()
