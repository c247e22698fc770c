"""`find_sites`: from paths to sites."""

from collections.abc import Sequence
from dataclasses import dataclass

from privmigrate.callsites.analysis import Analysis
from privmigrate.callsites.files import UNPARSED, read_files
from privmigrate.callsites.finish import finish
from privmigrate.callsites.given import with_given
from privmigrate.callsites.project import Project
from privmigrate.callsites.raw import RawSite, root_of
from privmigrate.callsites.settings import Settings, read_settings
from privmigrate.callsites.site import Site
from privmigrate.diagnostics import Diagnostic, Severity


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found.

    Attributes:
        sites: by file and place.
        diagnostics: what could not be read, and other things to tell.
        wrappers: qualified names of functions that pass words of their own parameters on.
        forwarders: those that only pass on whether to run as root.
        files: how many were read.
        local_injected: what a person says of executors that are passed in.
    """

    sites: tuple[Site, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    wrappers: tuple[str, ...] = ()
    forwarders: tuple[str, ...] = ()
    files: int = 0
    local_injected: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What could not be read at all."""
        return tuple(each for each in self.diagnostics if each.severity is Severity.ERROR)

    @property
    def unparsed(self) -> bool:
        """Whether there are files that were read and not understood."""
        return any(each.code == UNPARSED for each in self.diagnostics)


def find_sites(paths: Sequence[str], settings: Settings | None = None) -> Findings:
    """Find every call that runs a command as root; nothing that is analysed is executed.

    Without `settings` those of the paths' own ``pyproject.toml`` count.
    """
    if settings is None:
        settings = read_settings(paths)
    files, diagnostics = read_files(paths, settings.exclude)
    project = Project(files)
    analysis = Analysis(project, settings)
    analysis.run()
    sites = _sites(analysis)
    wrappers = sorted({each.qualified for each in analysis.wrappers()})
    forwarders = sorted(set(_forwarders(analysis)) - set(wrappers))
    diagnostics += project.unparsed.values()
    diagnostics += analysis.declared.unused({name for site in sites for name in site.declared})
    return Findings(
        tuple(sites),
        tuple(sorted(diagnostics, key=lambda each: each.span)),
        tuple(wrappers),
        tuple(forwarders),
        len(files),
        settings.local_injected,
    )


def _forwarders(analysis: Analysis) -> list[str]:
    return [
        raw.frame.function.qualified
        for raw in analysis.sites()
        if raw.frame.function is not None and _root_parameter(raw)
    ]


def _root_parameter(raw: RawSite) -> bool:
    root = root_of(raw.keywords)
    hole = getattr(root, "hole", None)
    return bool(getattr(hole, "parameter", ""))


def _sites(analysis: Analysis) -> list[Site]:
    by_call: dict[object, list[RawSite]] = {}
    for raw in analysis.sites():
        by_call.setdefault((raw.frame.module, raw.node), []).append(raw)
    found = [(raws, finish(analysis, raws)) for raws in by_call.values()]
    kept = [(raws, site) for raws, site in found if site is not None]
    return sorted(with_given(analysis, kept), key=lambda site: site.span)
