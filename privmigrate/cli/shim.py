"""``privmigrate shim``: put the shim in front of rootwrap, take it away, see what it does."""

# Paths are texts here, as they are for oslo.rootwrap.
# ruff: noqa: PTH100, PTH110, PTH117, PTH120

import argparse
import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from privmigrate.cli import SECURE_PATH, add_format
from privmigrate.diagnostics import counted, printable
from privmigrate.errors import InputError, Refused
from privmigrate.linux.capabilities import CapabilitySet, every
from privmigrate.rootwrap.parse import MISSING_FOLDER
from privmigrate.shim import client, commands, install, manifest
from privmigrate.shim.daemon import needs
from privmigrate.shim.files import inside
from privmigrate.shim.index import Built, Source, build, read_config
from privmigrate.shim.learning import read_learned
from privmigrate.shim.plan import Planned
from privmigrate.shim.report import read_reports, remove_dead
from privmigrate.shim.uninstall import make_removal, uninstall

_BINDIRS = {"additive": "/usr/local/bin", "divert": "/usr/bin"}
_ADVICE = (
    "limit them: privmigrate learn --filters {config} --from LOG --output"
    " /etc/privmigrate/learned.toml; or by [capabilities]; unknown = none refuses them everything"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add ``install``, ``uninstall``, ``status``."""
    parser.description = "Run rootwrap's commands, unchanged for their callers, under new limits."
    parser.epilog = (
        "shim ACTION --help says more of each.\n"
        "exit codes: 0 fine, 1 something is not as it should be (status) or nothing was seen\n"
        "  (learned), 2 bad input"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _configure_install(actions.add_parser(
        "install",
        help="put it in front of a service's rootwrap",
        description="Write SERVICE-rootwrap and SERVICE-rootwrap-daemon, a sudoers file where one"
        " is needed, and a manifest. The plan is printed first.",
        epilog="example: privmigrate shim install --service cinder"
        " --config /etc/cinder/rootwrap.conf",
    ))  # fmt: skip
    removing = actions.add_parser(
        "uninstall",
        help="put back what was there",
        description="Take away what `install` wrote and put back what stood there, byte for byte."
        " Units that were enabled are disabled and stopped. The plan is printed first.",
        epilog="example: privmigrate shim uninstall --service cinder",
    )
    removing.add_argument("--service", required=True, metavar="NAME", help="the service")
    removing.add_argument("--root", default="/", metavar="DIR", help="an image's tree")
    removing.add_argument("--force", action="store_true", help="even where a file was changed")
    removing.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    status = actions.add_parser(
        "status",
        help="what is installed, and what each filter's commands hold",
        description="Show what is installed, whether it is as it was written, and the filters with"
        " the capabilities of their commands. Exit code 1 if something is not as it should be.",
        epilog="example: privmigrate shim status --service cinder",
    )
    status.add_argument("--service", metavar="NAME", help="one service (default: all)")
    status.add_argument("--config", metavar="FILE", help="a rootwrap.conf, installed or not")
    status.add_argument("--root", default="/", metavar="DIR", help="an image's tree")
    add_format(status)
    learned = actions.add_parser(
        "learned",
        help="what `mode = learn` has seen",
        description="Print what the commands of each filter were granted while `mode = learn`, as"
        " a [capabilities] section. It is what was seen, not what was proved to be enough.",
        epilog="example: privmigrate shim learned --config /etc/cinder/rootwrap.conf",
    )
    learned.add_argument("--config", required=True, metavar="FILE", help="the rootwrap.conf")


def _configure_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", required=True, metavar="NAME", help="such as cinder")
    parser.add_argument("--config", required=True, metavar="FILE", help="its rootwrap.conf")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--divert",
        dest="strategy",
        action="store_const",
        const="divert",
        help="take the packaged path, by dpkg-divert",
    )
    ways.add_argument(
        "--overlay",
        dest="strategy",
        action="store_const",
        const="overlay",
        help="replace the commands in a virtual environment: --bindir VENV/bin",
    )
    parser.set_defaults(strategy="additive")
    parser.add_argument(
        "--bindir",
        metavar="DIR",
        help="where to write (default: /usr/local/bin; with --divert /usr/bin)",
    )
    parser.add_argument("--user", metavar="NAME", help="who calls it (default: the service's name)")
    parser.add_argument(
        "--accept-writable",
        action="append",
        default=[],
        metavar="DIR",
        help="do not refuse files below this folder though others than root can change them",
    )
    parser.add_argument("--root", default="/", metavar="DIR", help="an image's tree")
    parser.add_argument(
        "--python", metavar="FILE", help="the Python that has privmigrate (default: this one)"
    )
    parser.add_argument(
        "--interpreter", metavar="FILE", help="the Python for the client (default: the same, bare)"
    )
    parser.add_argument(
        "--systemd",
        action="store_true",
        help="write the units of a daemon for `execution = daemon`",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    match arguments.action:
        case "install":
            return _install(arguments)
        case "uninstall":
            return _uninstall(arguments)
        case "learned":
            return _learned(arguments.config)
        case _:
            return _status(arguments)


def _uninstall(arguments: argparse.Namespace) -> int:
    root = _root(arguments.root)
    if root == "/" and not arguments.dry_run:
        _check_root("uninstall")
    removal = make_removal(arguments.service, root, force=arguments.force)
    _say(removal.lines())
    if arguments.dry_run:
        return 0
    uninstall(removal)
    print("uninstalled")
    if root == "/":
        for report in read_reports(removal.plan.request.config):
            print(f"note: daemon {report['pid']} runs until it is idle, or told to end (SIGTERM)")
    return 0


def _say(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Print lines in which there are names of other people's."""
    for line in lines:
        print(printable(line), file=file)


def _learned(config: str) -> int:
    found = read_learned(config)
    if not found:
        read_config(Source(config, {}))  # a name that is misspelt, most likely
        _say([f"nothing was learned about {config}{_why_nothing()}"], sys.stderr)
        return 1
    print("[capabilities]")
    for name, seen in sorted(found.items()):
        if asked := seen.unaudited - seen.granted:
            _say([f"; {name} was also granted {asked}, in checks that seldom decide anything"])
        _say([f"{name} = {' '.join(seen.granted.names) or 'none'}"])
    return 0


def _why_nothing() -> str:
    from privmigrate.observe.tracefs import CannotTrace
    from privmigrate.observe.watch import watching

    try:
        with watching():
            return " (commands are watched where it says mode = learn)"
    except CannotTrace as error:
        return f": {error}"


def _install(arguments: argparse.Namespace) -> int:
    strategy: str = arguments.strategy
    bindir = arguments.bindir or _BINDIRS.get(strategy)
    if bindir is None:
        raise InputError("--overlay needs --bindir: the bin folder of the virtual environment")
    for name, path in (("--bindir", bindir), ("--config", arguments.config)):
        if not os.path.isabs(path):
            raise InputError(f"{name} has to be an absolute path, not {path}")
    root = _root(arguments.root)
    image = root != "/"
    if image and not arguments.python:
        raise InputError("--root needs --python: the one inside the image that has privmigrate")
    request = manifest.Request(
        service=arguments.service,
        config=arguments.config,
        bindir=bindir.rstrip("/"),
        strategy=strategy,
        user=arguments.user or arguments.service,
        root=root,
        interpreter=arguments.interpreter or _bare(arguments.python or sys.executable),
        python=arguments.python or sys.executable,
        accepted=tuple(os.path.abspath(path) for path in arguments.accept_writable),
        systemd=arguments.systemd,
    )
    needed = None
    if not image and not arguments.dry_run:
        _check_root("install")
    if not image:
        commands.check_interpreter(request.interpreter, request.python)
        needed = needs(_check(request))
    plan = install.make_plan(request, needed)
    if image:
        _check_image(request)
    else:
        _note_user(request.user)
    _say(plan.lines())
    if arguments.dry_run:
        return 0
    install.apply(plan)
    print(f"installed; see `privmigrate shim status --service {request.service}`")
    return 0


def _check_image(request: manifest.Request) -> None:
    """Refuse a configuration that is wrong in itself; its filters are judged where it runs."""
    path = inside(request.root, request.config)
    if os.path.exists(path):
        read_config(Source(path, {}))
    else:
        _say([f"note: {request.config} is not in {request.root} yet"], sys.stderr)


def _check_root(action: str) -> None:
    if os.geteuid() != 0:
        advice = " (--dry-run only shows the plan)" if action == "install" else ""
        raise InputError(f"shim {action} needs root: it changes what sudo runs{advice}")


def _note_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        _say([f"note: there is no user {name} here (--user names the service's)"], sys.stderr)


def _root(path: str) -> str:
    if not os.path.isdir(path):  # noqa: PTH112 - as above
        raise InputError(f"--root {path}: is no folder")
    return os.path.abspath(path)


def _bare(python: str) -> str:
    """The interpreter of a virtual environment without the environment."""
    return os.path.realpath(python)


def _check(request: manifest.Request) -> Built:
    """Refuse an installation that would refuse every command; warn of one that sudo passes by."""
    ours = (request.python, os.path.dirname(client.__file__))
    advice = "chown and chmod it, or --accept-writable DIR if you know who can write"
    if reasons := install.why_not_ours(ours, request.accepted):
        raise InputError(f"{'; '.join(reasons)} ({advice})")
    try:
        built = build(Source(request.config, {"PATH": SECURE_PATH}, request.accepted))
    except Refused as refused:
        raise InputError(f"{refused} ({advice})") from refused
    _say([built.warning or f"all {len(built.plans)} filters are limited"])
    _say([f"note: {text}" for text in _missing_folders(built)], sys.stderr)
    folders = SECURE_PATH.split(":")
    if request.strategy == "additive" and request.bindir not in folders:
        _say([f"note: {request.bindir} is not on sudo's usual secure_path"], sys.stderr)
    return built


def _status(arguments: argparse.Namespace) -> int:
    root = _root(arguments.root)
    names = [arguments.service] if arguments.service else manifest.services(root)
    found = [_service_status(name, root) for name in names]
    if arguments.config:
        found = [_config_status(arguments.config, ())]
    if arguments.format == "json":
        print(json.dumps(found, indent=2))
    else:
        _say([line for entry in found for line in _describe(entry)] or ["nothing installed"])
    return 0 if all(entry["ok"] for entry in found) else 1


def _service_status(name: str, root: str) -> dict[str, object]:
    plan = manifest.read_manifest(name, root)
    files = {step.path: manifest.is_intact(step, root) for step in plan.steps}
    entry: dict[str, object] = {"config": plan.request.config, "ok": True, "mode": "in an image"}
    if root == "/":
        entry = _config_status(plan.request.config, plan.request.accepted)
    strategy = plan.request.strategy
    ok = all(files.values()) and entry["ok"] and plan.is_done
    if not plan.is_done:
        strategy += f", not finished: `privmigrate shim uninstall --service {name}` takes it back"
    return {**entry, "service": name, "strategy": strategy, "files": files, "ok": ok}


def _config_status(config: str, accepted: tuple[str, ...]) -> dict[str, object]:
    entry: dict[str, object] = {"config": config}
    remove_dead()
    try:
        built = build(Source(config, {"PATH": SECURE_PATH}, accepted))
    except (InputError, Refused) as error:
        return {**entry, "ok": False, "error": str(error)}
    filters = [_filter(plan) for plan in built.plans]
    daemons = read_reports(config)
    warning = [built.warning, _ADVICE.format(config=config)] if built.warning else []
    warning += _missing_folders(built)
    if lost := client.read_lost(config):
        warning.append(
            f"{counted(lost, 'audit record')} got lost, since syslog took none; the trail says so"
            " as soon as it goes on"
        )
    return {
        **entry,
        "ok": True,
        "mode": _mode(built),
        "warnings": warning,
        "filters": filters,
        "daemons": daemons,
    }


def _missing_folders(built: Built) -> list[str]:
    found = built.parsed.diagnostics
    return [each.message for each in found if each.code == MISSING_FOLDER]


def _mode(built: Built) -> str:
    settings = built.settings
    words = [settings.mode, settings.execution]
    words += ["strict"] if settings.strict else []
    words += [] if settings.restrict else ["capabilities = all"]
    return ", ".join(words)


def _filter(plan: Planned) -> dict[str, object]:
    capabilities = every() if plan.capabilities is None else plan.capabilities
    return {
        "name": plan.rule.name,
        "runs": plan.exec_path,
        "as": plan.run_as,
        "capabilities": list(capabilities.names),
        "limited": plan.capabilities is not None,
        "because": plan.source,
        **({"refused": plan.why_not} if plan.why_not else {}),
    }


def _describe(entry: dict[str, object]) -> Iterator[str]:
    if "service" in entry:
        yield f"{entry['service']}: {entry['strategy']}"
        files = entry["files"]
        if isinstance(files, dict):
            for path, intact in files.items():
                yield f"  {path}{'' if intact else ': not as it was written'}"
    yield f"  {entry['config']}: {entry.get('error') or entry['mode']}"
    warnings = entry.get("warnings", ())
    if isinstance(warnings, list):
        yield from (f"    {warning}" for warning in warnings)
    daemons = entry.get("daemons", ())
    if isinstance(daemons, list):
        for each in daemons:
            yield (
                f"    daemon {each['pid']}: holds {each['capabilities']}; run {each['run']},"
                f" declined {each['declined']}, refused {each['refused']}, failed {each['failed']}"
                + (
                    f", {each['unrecorded']} records wait for syslog"
                    if each.get("unrecorded")
                    else ""
                )
            )
            yield from (f"      {error}" for error in each["last_errors"])
    filters = entry.get("filters", ())
    if isinstance(filters, list):
        width = max(len(each["name"]) for each in filters)
        for each in filters:
            names = CapabilitySet.parse(" ".join(each["capabilities"]))
            line = f"    {each['name'].ljust(width)}  {names}  ({each['because']})"
            yield line + (f"; refused: {each['refused']}" if "refused" in each else "")
