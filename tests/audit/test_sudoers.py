"""What sudo's own parser says of a sudoers file, with the line where it stands."""

import pytest

from privmigrate.audit.listing import ListedTree
from privmigrate.audit.sudoers import Grant, Sudo, read_sudoers
from privmigrate.diagnostics import Span


def read(text: str, *more: str) -> Sudo:
    body = "".join(f"    {line}\n" for line in text.splitlines())
    return read_sudoers(ListedTree(f"-r--r----- root root /etc/sudoers\n{body}{''.join(more)}"))


def test_a_grant_has_all_its_parts_and_its_line() -> None:
    sudo = read("# a comment\n\nnova ALL=(ALL:ALL) NOPASSWD:SETENV: /usr/bin/x -a *, !/bin/sh\n")
    assert sudo.grants == (
        Grant(
            Span("/etc/sudoers", 3, 1),
            ("nova",),
            ("ALL",),
            "/usr/bin/x",
            "-a *",
            no_password=True,
            setenv=True,
        ),
        Grant(
            Span("/etc/sudoers", 3, 1),
            ("nova",),
            ("ALL",),
            "/bin/sh",
            None,
            no_password=True,
            setenv=True,
            negated=True,
        ),
    )
    assert sudo.unread == ()


def test_no_arguments_and_any_arguments_are_told_apart() -> None:
    sudo = read('a ALL=(root) /usr/bin/x ""\nb ALL=(root) /usr/bin/x\n')
    assert [(grant.arguments, grant.shown) for grant in sudo.grants] == [
        ("", '/usr/bin/x ""'),
        (None, "/usr/bin/x"),
    ]


def test_lines_go_on_and_aliases_are_resolved_across_files() -> None:
    sudo = read(
        "User_Alias SVC = cinder, %ops\nCmnd_Alias RW = /usr/bin/x-rootwrap, \\\n  /usr/bin/y\n"
        "@includedir /etc/sudoers.d\n",
        "-r--r----- root root /etc/sudoers.d/x\n",
        "    SVC ALL=(root) NOPASSWD: \\\n      RW\n",
        "-r--r----- root root /etc/sudoers.d/y.bak\n    z ALL=(ALL) ALL\n",
        "-r--r----- root root /etc/sudoers.d/y~\n    z ALL=(ALL) ALL\n",
    )
    assert [(g.span, g.users, g.command) for g in sudo.grants] == [
        (Span("/etc/sudoers.d/x", 1, 1), ("cinder", "%ops"), "/usr/bin/x-rootwrap"),
        (Span("/etc/sudoers.d/x", 1, 1), ("cinder", "%ops"), "/usr/bin/y"),
    ]
    assert sudo.files == ("/etc/sudoers", "/etc/sudoers.d/x")


def test_old_and_relative_includes_are_followed() -> None:
    sudo = read(
        "#include sudoers.local\n",
        "-r--r----- root root /etc/sudoers.local\n    a ALL=(root) /usr/bin/x\n",
    )
    assert [str(grant.span) for grant in sudo.grants] == ["/etc/sudoers.local:1:1"]


def test_defaults_know_whom_they_are_for() -> None:
    sudo = read('Defaults:nova setenv\nDefaults env_keep += "A B", secure_path="/a:/b"\n')
    assert [(d.binding, d.name, d.value) for d in sudo.defaults] == [
        (("nova",), "setenv", True),
        ((), "env_keep", ["A", "B"]),
        ((), "secure_path", "/a:/b"),
    ]


def test_a_number_is_a_user_and_a_hash_is_a_comment() -> None:
    sudo = read("#1000 ALL=(root) /usr/bin/x\n#nova ALL=(root) /usr/bin/x\n")
    assert [grant.users for grant in sudo.grants] == [("#1000",)]


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("a ALL=(root) NOPASSWD /x\nb ALL=(root) /usr/bin/x\n", "/etc/sudoers:1:1", "parser"),
        ("@include /etc/none\nb ALL=(root) /usr/bin/x\n", "/etc/none", "No such file"),
        ("@include /etc/sudoers\nb ALL=(root) /usr/bin/x\n", "/etc/sudoers", "includes itself"),
    ],
)
def test_what_cannot_be_read_is_said_and_hides_nothing_else(
    text: str, where: str, why: str
) -> None:
    sudo = read(text)
    assert [str(missed.span) for missed in sudo.unread] == [where]
    assert why in sudo.unread[0].message
    assert [grant.users for grant in sudo.grants] == [("b",)]


def test_a_missing_parser_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privmigrate.audit.sudoers.CVTSUDOERS", ("/none",))
    sudo = read("a ALL=(root) /usr/bin/x\n")
    assert sudo.unread[0].message.endswith("cvtsudoers is not installed (it comes with sudo)")


def test_a_machine_without_sudo_is_no_fault() -> None:
    assert read_sudoers(ListedTree("-rw-r--r-- root root /etc/passwd\n")) == Sudo()


@pytest.mark.parametrize(
    ("arguments", "good", "bad"),
    [
        ("", "anything", None),
        ('""', "", "x"),
        ("/etc/x.conf *", "/etc/x.conf id -u", "/etc/y.conf id"),
        ("/etc/x.conf", "/etc/x.conf", "/etc/x.conf id"),
        ("^/etc/x\\.conf [a-z ]+$", "/etc/x.conf id u", "/etc/xyconf id"),
        ("^-a [0-9]+$", "-a 12", "-a 12 -b"),
    ],
)
def test_arguments_are_matched_as_sudo_does(arguments: str, good: str, bad: str | None) -> None:
    (grant,) = read(f"a ALL=(root) /usr/bin/x {arguments}\n").grants
    assert grant.takes(good)
    assert bad is None or not grant.takes(bad)
