"""Functions of a project that pass their own words on are found, and their calls are the sites."""

from collections.abc import Callable

from privmigrate.callsites import Findings
from privmigrate.callsites.site import Convention, Reason, Root
from tests.callsites.conftest import command_lines

Analyse = Callable[..., Findings]

UTILS = """
from oslo_concurrency import processutils
def execute(*cmd, **kwargs):
    kwargs.setdefault('root_helper', 'sudo x-rootwrap')
    return processutils.execute(*cmd, **kwargs)
"""


def test_a_function_that_only_passes_everything_on_is_looked_through(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        def remove(path):
            utils.execute('rm', path, run_as_root=True, attempts=3)
        """,
        utils=UTILS,
    )
    (site,) = found.sites
    assert command_lines(found) == ["rm {path}"]
    assert (site.via, site.through) == ((), ("service.utils.execute",))
    assert site.direct
    assert site.typable
    assert [option.name for option in site.options] == ["attempts"]
    assert found.wrappers == ("service.utils.execute",)


def test_it_is_found_under_every_name_that_it_is_imported_by(analyse: Analyse) -> None:
    found = analyse(
        """
        import service.utils
        from service.utils import execute as run_it
        from service import names
        service.utils.execute('a', run_as_root=True)
        run_it('b', run_as_root=True)
        names.another('c', run_as_root=True)
        """,
        utils=UTILS,
        names="from service import utils\nanother = utils.execute\n",
    )
    assert command_lines(found) == ["a", "b", "c"]


def test_a_wrapper_adds_words_of_its_own(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        class Bridge:
            def _vsctl(self, args, check_error=False):
                words = ['ovs-vsctl', '--timeout=10'] + args
                return utils.execute(*words, run_as_root=True)
            def add(self, name):
                self._vsctl(['--may-exist', 'add-br', name])
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["ovs-vsctl --timeout=10 --may-exist add-br {name}"]
    own, call = found.sites
    assert own.reasons == (Reason.WRAPPER,)
    assert not own.resolved
    assert call.via == ("service.module.Bridge._vsctl", "service.utils.execute")
    assert call.resolved
    assert not call.typable  # nobody knows what else the wrapper does
    assert not call.direct


def test_wrappers_of_wrappers_are_found_in_any_order(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import first
        def go(name):
            first.one('create', name)
        """,
        first="""
        from service import second
        def one(*words):
            second.two(*words)
        """,
        second="""
        from service import utils
        def two(*words):
            three('zfs', *words)
        def three(*words):
            utils.execute(*words, run_as_root=True)
        """,
        utils=UTILS,
    )
    assert "zfs create {name}" in command_lines(found)
    assert len(found.wrappers) == 4


def test_a_method_is_found_by_the_class_that_its_object_is_of(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import tools
        class Driver:
            def __init__(self):
                self.tool = tools.Tool()
            def go(self):
                self.tool.run(['list'])
            def local(self):
                tool = tools.Special()
                tool.run(['show'])
        """,
        tools="""
        from service import utils
        class Tool:
            COMMAND = 'tool'
            def run(self, words):
                utils.execute(self.COMMAND, *words, run_as_root=True)
        class Special(Tool):
            pass
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["tool list", "tool show"]


def test_a_sentinel_says_whether_it_runs_as_root(analyse: Analyse) -> None:
    """The word 'sudo' is taken off by the wrapper, and no part of the command."""
    found = analyse(
        """
        from service import utils
        class Driver:
            def execute(self, *cmd, **kwargs):
                if cmd[0] == 'sudo':
                    kwargs['run_as_root'] = True
                    cmd = cmd[1:]
                return utils.execute(*cmd, **kwargs)
            def go(self, name):
                self.execute('sudo', 'zfs', 'destroy', name)
                self.execute('zfs', 'list')
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["zfs destroy {name}"]
    assert found.sites[-1].root is Root.ALWAYS


def test_a_default_of_a_wrapper_can_be_overruled(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        class Driver:
            def _local(self, *cmd, **kwargs):
                if 'run_as_root' not in kwargs:
                    kwargs.update({'run_as_root': True})
                return utils.execute(*cmd, **kwargs)
            def go(self):
                self._local('df', '/')
                self._local('du', '/', run_as_root=False)
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["df /"]


def test_a_nested_function_passes_its_outer_functions_words_on(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        def retry(cmd):
            @utils.retry()
            def attempt():
                utils.execute(*cmd, run_as_root=True)
            attempt()
        def go(name):
            retry(['ldapwhoami', '-D', name])
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["ldapwhoami -D {name}"]


def test_what_a_helper_returns_is_looked_into(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        def _ip(action, params, device):
            cmd = ['ip', 'addr', action]
            cmd.extend(params)
            return cmd + ['dev', device]
        def go(device):
            utils.execute(*_ip('add', ['10.0.0.1/8'], device), run_as_root=True)
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["ip addr add 10.0.0.1/8 dev {device}"]


def test_an_executor_that_is_passed_in(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        class Driver:
            def __init__(self, execute=utils.execute):
                self._execute = execute
            def go(self, path):
                self._execute('chmod', '777', path, run_as_root=self._as_root)
        class Helper(Driver):
            def more(self):
                self._execute('sync', run_as_root=True)
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["chmod 777 {path}", "sync"]
    first, second = found.sites
    assert (first.root, first.condition) == (Root.CONDITIONAL, "self._as_root")
    assert first.typable
    assert second.root is Root.ALWAYS


def test_functions_that_only_take_run_as_root_are_forwarders(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        def resize(image, run_as_root=False):
            utils.execute('resize2fs', image, run_as_root=run_as_root)
        resize('x', run_as_root=True)
        """,
        utils=UTILS,
    )
    (site,) = found.sites
    assert (site.root, site.condition) == (Root.CONDITIONAL, "run_as_root")
    assert found.forwarders == ("service.module.resize",)


def test_neutrons_convention_takes_a_list_and_gives_a_text(analyse: Analyse) -> None:
    found = analyse(
        """
        from neutron.agent.linux import utils as linux_utils
        class Manager:
            def __init__(self, execute=None):
                self.execute = execute or linux_utils.execute
            def go(self, name):
                return self.execute(['ipset', 'flush', name], run_as_root=True, privsep_exec=True)
        """
    )
    (site,) = found.sites
    assert site.convention is Convention.LIST
    assert site.typable
    assert site.words_source == "['ipset', 'flush', name]"


def test_calls_that_never_run_as_root_are_none(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        utils.execute('ls')
        utils.execute('ls', run_as_root=False)
        utils.execute('ls', run_as_root=None)
        print('run_as_root=True')
        mock.call('ls', run_as_root=True)
        image.convert(run_as_root=True)
        """,
        utils=UTILS,
    )
    assert found.sites == ()


def test_recursion_ends(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import utils
        class A(B): pass
        class B(A): pass
        again = again
        def run(*cmd):
            run('x', *cmd)
            return other(*cmd)
        def other(*cmd):
            utils.execute(*cmd, run_as_root=True)
            return run(*cmd)
        other('ls')
        """,
        utils=UTILS,
    )
    assert "ls" in command_lines(found)
