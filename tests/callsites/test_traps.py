"""What looks as if it could be told, and cannot: each is reported and never guessed."""

from collections.abc import Callable

import pytest

from privmigrate.callsites import Findings, Site
from privmigrate.callsites.site import Reason
from privmigrate.callsites.text import template_text

Analyse = Callable[..., Findings]
HEAD = "from oslo_concurrency import processutils\n"

CONSTANT = """
from oslo_concurrency import processutils
class Volumes:
    PREFIX = ['env', 'LC_ALL=C']
    TOOL = 'lvs'
{change}
    def show(self):
        cmd = {written} + ['lvs', '--noheadings']
        processutils.execute(*cmd, run_as_root=True)
    def tool(self):
        processutils.execute(self.TOOL, '-v', run_as_root=True)
"""
CHANGES = {
    "by the class": "    def __init__(self):\n        Volumes.PREFIX = ['env', 'LC_ALL=C', 'X=1']",
    "by the object": "    def __init__(self):\n        self.PREFIX = ['env', 'LC_ALL=C', 'X=1']",
    "by type(self)": "    def __init__(self):\n        type(self).PREFIX = ['env']",
    "in a loop": "    def __init__(self):\n        for self.PREFIX in ([], []):\n            pass",
    "as a target among others": "    def __init__(self):\n        self.x, self.PREFIX = 1, []",
    "grown": "    def __init__(self):\n        self.PREFIX += ['X=1']",
    "grown in place": "    def __init__(self):\n        self.PREFIX.append('X=1')",
    "deleted": "    def __init__(self):\n        del self.PREFIX",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("written", ["Volumes.PREFIX", "self.PREFIX"])
def test_a_constant_that_is_assigned_elsewhere(analyse: Analyse, change: str, written: str) -> None:
    found = analyse(CONSTANT.format(change=change, written=written))
    site = found.sites[0]
    if change == CHANGES["deleted"]:
        assert not site.typable
        return
    assert Reason.REASSIGNED in site.reasons
    assert not site.typable
    # only where every value is known is the list one that can be checked
    assert site.checkable is site.resolved


@pytest.mark.parametrize("written", ["Volumes.PREFIX", "self.PREFIX"])
def test_a_constant_that_nobody_assigns_is_folded(analyse: Analyse, written: str) -> None:
    first, second = analyse(CONSTANT.format(change="", written=written)).sites
    assert [template_text(each) for each in first.templates] == ["LC_ALL=C lvs --noheadings"]
    assert [template_text(each) for each in second.templates] == ["lvs -v"]
    assert first.typable
    assert second.typable


def test_a_constant_that_another_module_assigns(analyse: Analyse) -> None:
    source = CONSTANT.format(change="", written="self.PREFIX")
    for change in ("Volumes.PREFIX = []", "volumes.Volumes.PREFIX += ['x']", "thing().PREFIX = 1"):
        found = analyse(
            source,
            other=f"from service.module import Volumes\nfrom service import volumes\n{change}\n",
        )
        assert Reason.REASSIGNED in found.sites[0].reasons, change


def test_a_constant_that_an_heir_overrides_is_one_of_several(analyse: Analyse) -> None:
    found = analyse(
        """
        from oslo_concurrency import processutils
        class Base:
            TOOL = 'mkfs.ext3'
            def make(self, path):
                processutils.execute('run', self.TOOL, path, run_as_root=True)
        class Heir(Base):
            TOOL = 'mkfs.ext4'
        """
    )
    texts = [template_text(each) for each in found.sites[0].templates]
    assert texts == ["run {mkfs.ext3|mkfs.ext4} {path}"]


def test_a_constant_of_a_module(analyse: Analyse) -> None:
    source = f"{HEAD}TOOL = 'ls'\ndef go():\n    processutils.execute(TOOL, run_as_root=True)\n"
    (site,) = analyse(source).sites
    assert [template_text(each) for each in site.templates] == ["ls"]
    for more in ("TOOL = 'cat'\n", "TOOL += 'x'\n", "def f():\n    global TOOL\n    TOOL = 'x'\n"):
        (site,) = analyse(source + more).sites
        assert not site.resolved, more
    (site,) = analyse(source, other="from service import module\nmodule.TOOL = 'x'\n").sites
    assert not site.resolved


REMOTE = {
    "by its name": "self._ssh_execute('ls', run_as_root=True)",
    "one of two": "(self._remote_execute or processutils.execute)('ls', run_as_root=True)",
}


@pytest.mark.parametrize("call", REMOTE.values(), ids=REMOTE)
def test_a_call_that_may_go_to_another_host(analyse: Analyse, call: str) -> None:
    (site,) = analyse(f"{HEAD}class A:\n    def go(self):\n        {call}\n").sites
    assert Reason.REMOTE in site.reasons
    assert not site.typable
    assert not site.checkable


def test_an_executor_that_is_set_to_a_remote_one_somewhere(analyse: Analyse) -> None:
    found = analyse(
        """
        from oslo_concurrency import processutils
        class Driver:
            def __init__(self, host):
                if host:
                    self._run = self._remote_execute
                else:
                    self._run = self._local_execute
            def _local_execute(self, *cmd, **kwargs):
                return processutils.execute(*cmd, run_as_root=True, **kwargs)
            def _remote_execute(self, *cmd, **kwargs):
                return ssh(*cmd)
            def go(self):
                self._run('df')
        """
    )
    (site,) = (site for site in found.sites if site.via)
    assert site.reasons == (Reason.REMOTE,)
    assert [template_text(each) for each in site.templates] == ["df"]


def test_processes_are_not_remote_though_their_names_have_these_letters(analyse: Analyse) -> None:
    (site,) = analyse(
        HEAD + "ProcessHelper = processutils\nProcessHelper.execute('ls', run_as_root=True)\n"
    ).sites
    assert site.reasons == ()


@pytest.mark.parametrize("shell", ["'sh', '-c', 'cat %s' % a", "'bash', '-c', a", "'/bin/sh', a"])
def test_a_shell_is_told(in_function: Callable[[str], Site], shell: str) -> None:
    site = in_function(f"processutils.execute({shell}, run_as_root=True)")
    assert site.reasons == (Reason.SHELL,)
    assert site.resolved
    assert not site.typable


@pytest.mark.parametrize(
    "option", ["cwd='/'", "shell=True", "timeout=5", "preexec_fn=f", "**share", "prlimit=p"]
)
def test_keywords_that_no_entrypoint_has(in_function: Callable[[str], Site], option: str) -> None:
    site = in_function(f"processutils.execute('ls', run_as_root=True, {option})")
    assert site.reasons == (Reason.OPTIONS,)
    assert not site.typable


def test_python_2_is_said_to_be_none_of_ours(analyse: Analyse) -> None:
    found = analyse("print 'x'\nexecute('ls', run_as_root=True)\n")
    assert found.sites == ()
    (diagnostic,) = found.diagnostics
    assert diagnostic.code == "unparsed"
    assert diagnostic.span.line == 1
