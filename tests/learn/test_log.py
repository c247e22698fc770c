"""What is learned of a log."""

from pathlib import Path

import pytest

from privmigrate.learn.log import plan_tasks, read_uses
from privmigrate.rootwrap.config import load_config
from privmigrate.rootwrap.policy import Policy

ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    folder = tmp_path / "rootwrap.d"
    folder.mkdir()
    folder.joinpath("x.filters").write_text(
        "[Filters]\ncat: CommandFilter, cat, root\nuname: CommandFilter, uname, root\n"
        "lease: EnvFilter, env, root, A=, sort\nas: CommandFilter, id, nobody\n"
        "gone: CommandFilter, pm-not-there, root\n"
    )
    conf = tmp_path / "rootwrap.conf"
    conf.write_text(f"[DEFAULT]\nfilters_path={folder}\nexec_dirs=/usr/bin,/bin\n")
    return Policy.load(load_config(str(conf), ENVIRON))


def test_alike_lines_are_one_and_the_rest_is_explained(policy: Policy) -> None:
    lines = [
        "Executing ['/usr/bin/cat', '/srv/1'] (filter match = cat)",
        "Executing ['/usr/bin/cat', '/srv/22'] (filter match = cat)",
        '["cat", "/etc/x"]',
        '["uname", "-a"]',
        '["env", "A=1", "sort", "f"]',
        '["id"]',
        '["rm", "x"]',
        '["pm-not-there"]',
    ]
    uses = read_uses(lines, policy, ENVIRON)
    assert [use.times for use in uses] == [2, 1, 1, 1, 1, 1, 1]
    tasks, notes = plan_tasks(uses, with_known=False)
    assert [(task.argv, task.executable) for task in tasks] == [
        (("uname", "-a"), "/usr/bin/uname"),
        (("sort", "f"), "/usr/bin/sort"),
    ]
    assert tasks[1].environment == (("A", "1"),)
    assert notes == [
        "/usr/bin/cat /srv/1: known already (--all learns it anew)",
        "cat /etc/x: known already (--all learns it anew)",
        "id: runs as nobody, and so needs none",
        "rm x: passed over: no filter is about 'rm'",
        "pm-not-there: passed over: its executable is not there",
    ]
    everything, _ = plan_tasks(uses, with_known=True)
    assert [task.argv for task in everything][:2] == [
        ("/usr/bin/cat", "/srv/1"),
        ("cat", "/etc/x"),
    ]


def test_of_an_env_filter_the_variables_are_not_in_the_log(policy: Policy) -> None:
    """What the command does without them is not what it does."""
    lines = ["Executing ['/usr/bin/sort', 'f'] (filter match = lease)"]
    tasks, notes = plan_tasks(read_uses(lines, policy, ENVIRON), with_known=True)
    assert tasks == []
    assert notes == ["/usr/bin/sort f: passed over: its variables are not in the log"]
