"""Executors that objects hold: called like functions, kept by constructors, in a `partial`."""

import pytest

from privmigrate.callsites.site import Reason, Root
from tests.callsites.conftest import Analyse, command_lines

UTILS = """\
from oslo_concurrency import processutils

def run(*words, **options):
    return processutils.execute(*words, root_helper='sudo x', **options)

class AsRoot:
    def __init__(self, do=run):
        self.do = do

    def __call__(self, *args, **kwargs):
        extra = {'run_as_root': True}
        extra.update(kwargs)
        return self.do(*args, **extra)

class OverSsh:
    def __init__(self, pool):
        self.pool = pool

    def __call__(self, *args, **kwargs):
        return self.pool.send(' '.join(args))
"""


def test_an_object_that_is_called_adds_that_it_runs_as_root(analyse: Analyse) -> None:
    found = analyse(
        """\
        from service import utils

        def remove(path):
            execute = utils.AsRoot()
            execute('rm', '-f', path)

        class Driver:
            def __init__(self):
                self._tool = utils.AsRoot(utils.run)

            def make(self, path):
                self._tool('mkdir', path, check_exit_code=[0, 1])
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["rm -f {path}", "mkdir {path}"]
    for site in found.sites:
        if Reason.WRAPPER not in site.reasons:
            assert site.root is Root.ALWAYS
            assert site.via  # what stands between does more than pass on


def test_what_a_constructor_is_given_is_kept_under_another_name(analyse: Analyse) -> None:
    """Through a base class, and a function that is defined in the constructor."""
    found = analyse(
        """\
        from service import utils

        class Base:
            def __init__(self, runner, config):
                self._hand = runner

        class Helper(Base):
            def __init__(self, runner, config):
                runner = utils.AsRoot(runner)
                super().__init__(runner, config)

            def manager(self):
                return Manager(self._hand, 'tag')

        class Manager:
            def __init__(self, doer, tag):
                def logged(*args, **kwargs):
                    kwargs.pop('note', None)
                    return doer(*args, **kwargs)
                self.act = logged

            def publish(self, path):
                self.act('chmod', '777', path, note='open')

        class Quiet:
            def __init__(self, doer):
                self.act = doer

            def publish(self, path):
                self.act('chmod', '666', path)
        """,
        utils=UTILS,
    )
    # nothing is given to Quiet
    assert command_lines(found) == ["chmod 777 {path}"]


def test_one_that_may_go_to_another_host_is_told_with_its_doubt(analyse: Analyse) -> None:
    found = analyse(
        """\
        from service import utils

        class Helper:
            def __init__(self, execute, config):
                if config.host:
                    execute = utils.OverSsh(config.host)
                else:
                    execute = utils.AsRoot(execute)
                self._execute = execute

            def publish(self, path):
                self._execute('chmod', '777', path)
        """,
        utils=UTILS,
    )
    (site,) = [each for each in found.sites if Reason.WRAPPER not in each.reasons]
    assert command_lines(found) == ["chmod 777 {path}"]
    assert Reason.REMOTE in site.reasons
    assert not site.checkable


def test_a_function_that_makes_the_executor(analyse: Analyse) -> None:
    found = analyse(
        """\
        from service import utils

        class Volume:
            def __init__(self, doer):
                self.tool = self.make_tool(doer)

            def make_tool(self, doer):
                inner = utils.AsRoot(doer)
                def call(*args, **kwargs):
                    return inner(*(('gluster',) + args), **kwargs)
                return call

            def info(self, name):
                return self.tool('volume', 'info', name)
        """,
        utils=UTILS,
    )
    assert command_lines(found) == ["gluster volume info {name}"]


@pytest.mark.parametrize(
    "held",
    [
        "functools.partial(processutils.execute, run_as_root=True)",
        "functools.partial(utils.run, run_as_root=True)",
        "functools.partial(utils.AsRoot(), attempts=1)",
        "functools.partial(functools.partial(utils.run, 'nice'), run_as_root=True)",
    ],
)
def test_a_partial_has_the_first_words_and_the_options(analyse: Analyse, held: str) -> None:
    found = analyse(
        f"""\
        import functools

        from oslo_concurrency import processutils
        from service import utils

        as_root = {held}

        class Driver:
            TOOL = functools.partial(utils.run, 'lvs', run_as_root=True)

            def __init__(self):
                self._tool = {held}

            def one(self, path):
                self._tool('touch', path)

            def two(self, path):
                as_root('rm', path)

            def three(self, path):
                local = {held}
                local('stat', path)

            def four(self, group):
                Driver.TOOL('--units', 'g', group)

            def five(self, path):
                self._tool('cat', path, run_as_root=False)
        """,
        utils=UTILS,
    )
    assert [each.removeprefix("nice ") for each in command_lines(found)] == [
        "touch {path}",
        "rm {path}",
        "stat {path}",
        "lvs --units g {group}",
    ]


def test_objects_and_partials_that_hold_themselves_end(analyse: Analyse) -> None:
    found = analyse(
        """\
        import functools

        class Loop:
            def __init__(self, execute):
                self.execute = execute

            def __call__(self, *args, **kwargs):
                return self.execute(*args, **kwargs)

        class Knot:
            def __init__(self, execute):
                self._execute = Loop(self._execute)
                self.again = functools.partial(self.again, 'x')
                Knot(self._execute)

            def run(self, path):
                self._execute('rm', path, run_as_root=True)
                self.again('rm', path, run_as_root=True)
        """
    )
    assert found.errors == ()
