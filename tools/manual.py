"""Write what distributions install beside commands: manual pages and bash completion.

Usage: python -m tools.manual [--check]. They are made of what --help says; with --check nothing is
written, and the exit code is 1 where one is out of date.
"""

import contextlib
import io
import os
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from importlib import import_module
from typing import Final
from unittest import mock

from privmigrate.cli import COMMANDS
from privmigrate.cli import main as privmigrate
from privmigrate.privsep.daemon.main import USAGE
from tools.modules import PROJECT

FOLDER: Final = PROJECT / "docs" / "man"
COLUMNS: Final = "78"
MADE_WITH: Final = (3, 11)
"""The Python whose argparse wraps lines as these files have them; each wraps in its own way."""
ABOUT: Final = "move rootwrap filters to narrow, typed, capability-restricted privsep entrypoints"
SEE: Final = "sudo(8), sudoers(5), capabilities(7)"
COMPLETION: Final = """\
# bash completion of privmigrate; written by tools/manual.py
_privmigrate() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} known=
    local command=${{COMP_WORDS[1]}} action=${{COMP_WORDS[2]}}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        known="{commands} --help --version"
    else
        case "$command $before" in
{choices}
        *)
            case "$command $action" in
{options}
            esac
            [[ $word == -* ]] || [[ " {parents} " == *" $before "* ]] || known=
            ;;
        esac
    fi
    [ -z "$known" ] || mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
}}
complete -o default -F _privmigrate privmigrate
"""


def said(*words: str) -> str:
    """What --help of a command prints."""
    out = io.StringIO()
    with mock.patch.dict(os.environ, COLUMNS=COLUMNS), contextlib.redirect_stdout(out):
        privmigrate([*words, "--help"])
    return out.getvalue()


def parsers() -> Iterator[tuple[tuple[str, ...], ArgumentParser]]:
    """Every command and every action, with its parser."""
    for name, _ in COMMANDS:
        parser = ArgumentParser(prog=name)
        import_module(f"privmigrate.cli.{name}").configure(parser)
        yield (name,), parser
        for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
            if isinstance(action, _SubParsersAction):
                for sub, each in action.choices.items():
                    yield (name, sub), each


def verbatim(text: str) -> str:
    """Text as it is, in a manual page."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").rstrip("\n").split("\n")
    guarded = (f"\\&{line}" if line[:1] in {".", "'"} else line for line in lines)
    return "\n".join((".nf", *guarded, ".fi"))


def page(name: str, section: int, about: str, parts: Iterator[tuple[str, str]]) -> str:
    """A manual page."""
    head = (
        f'.\\" Written by tools/manual.py.\n.TH {name.upper()} {section} "" privmigrate\n'
        f".SH NAME\n{name} \\- {about}\n"
    )
    body = "".join(f".SH {title.upper()}\n{verbatim(text)}\n" for title, text in parts)
    return f"{head}{body}.SH SEE ALSO\n{SEE}\n"


def command_parts() -> Iterator[tuple[str, str]]:
    """What privmigrate(1) consists of."""
    yield "description", said()
    for words, _ in parsers():
        yield f"privmigrate {' '.join(words)}", said(*words)


def completion() -> str:
    """The script for bash: commands, actions, options, and choices of options."""
    choices, options, parents = [], [], []
    for words, parser in parsers():
        known = sorted(
            {"--help"}
            | {text for each in parser._actions for text in each.option_strings if text != "-h"}  # noqa: SLF001
        )
        for each in parser._actions:  # noqa: SLF001
            if isinstance(each, _SubParsersAction):
                known += sorted(each.choices)
                parents.append(words[0])
            elif each.choices:
                for text in each.option_strings:
                    row = f'"{words[0]} {text}") known="{" ".join(map(str, each.choices))}" ;;'
                    choices.append(row)
        pattern = f'"{" ".join(words)}"' if words[1:] else f'"{words[0]} "*'
        options.append((len(words), f'{pattern}) known="{" ".join(known)}" ;;'))
    # an action's own row stands before its command's
    rows = [row for _, row in sorted(options, key=lambda each: -each[0])]
    return COMPLETION.format(
        commands=" ".join(name for name, _ in COMMANDS),
        choices="\n".join(f"        {row}" for row in dict.fromkeys(choices)),
        options="\n".join(f"            {row}" for row in rows),
        parents=" ".join(parents),
    )


def texts() -> dict[str, str]:
    """Every file by its name."""
    helper = page(
        "privmigrate-helper", 8, "become the privileged daemon of a context",
        iter([("description", USAGE)]),
    )  # fmt: skip
    return {
        "privmigrate.1": page("privmigrate", 1, ABOUT, command_parts()),
        "privmigrate-helper.8": helper,
        "privmigrate.bash": completion(),
    }


def main(arguments: list[str]) -> int:
    """Write them, or compare."""
    if "--check" in arguments and sys.version_info[:2] != MADE_WITH:
        return 0
    stale = [
        (FOLDER / name, text)
        for name, text in texts().items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != text
    ]
    for path, text in stale:
        if "--check" in arguments:
            print(f"{path.relative_to(PROJECT)} is out of date: python -m tools.manual")
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
