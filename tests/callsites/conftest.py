"""Sources of a few lines, analysed as a project of their own."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.callsites import Findings, Settings, Site, find_sites
from privmigrate.callsites.site import Reason
from privmigrate.callsites.text import template_text

Analyse = Callable[..., Findings]


def command_lines(found: Findings) -> list[str]:
    """Every template of every site that is no wrapper's own."""
    return [
        template_text(template)
        for site in found.sites
        if Reason.WRAPPER not in site.reasons
        for template in site.templates
    ]


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """Analyse one module, or several by their names; settings are the defaults."""

    def analyse_modules(
        source: str = "", settings: Settings | None = None, **more: str
    ) -> Findings:
        package = tmp_path / "service"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        modules = {"module": source, **more} if source else more
        for name, text in modules.items():
            (package / f"{name}.py").write_text(textwrap.dedent(text))
        return find_sites([str(package)], settings or Settings())

    return analyse_modules


@pytest.fixture
def in_function(analyse: Analyse) -> Callable[[str], Site]:
    """The one site of a function body; its parameters are a, b, flag, names and share."""

    def site_of(body: str) -> Site:
        lines = textwrap.indent(textwrap.dedent(body), "    ")
        source = (
            "from oslo_concurrency import processutils\n"
            "def run(a, b, flag, names, share):\n" + lines
        )
        (site,) = analyse(source).sites
        return site

    return site_of
