"""What a wrapper's own call is given is known where everybody who calls the wrapper is."""

from collections.abc import Callable

import pytest

from privmigrate.callsites import Findings, Site
from privmigrate.callsites.given import carrying
from privmigrate.callsites.site import Given, Reason
from privmigrate.callsites.text import template_text

Analyse = Callable[..., Findings]

WRAPPER = """
from oslo_concurrency import processutils
class Driver:
    def _ctl(self, target, words, **kwargs):
        codes = kwargs.pop('check_exit_code', 0)
        out, err = processutils.execute('ctl', '-t', target, *words, run_as_root=True,
                                        check_exit_code=codes)
        LOG.debug(out)
        return out, err
    def show(self, target):
        return self._ctl(target, ['show'])
    def create(self, name):
        words = ['--op', 'new']
        if name:
            words += ['-n', name]
        self._ctl('fixed', words, check_exit_code=[0, 3])
"""


def own_of(found: Findings) -> Site:
    """The only own call of a wrapper."""
    (own,) = [site for site in found.sites if site.given is not None]
    return own


def given_of(found: Findings) -> Given:
    own = own_of(found)
    assert own.given is not None
    return own.given


def shown(given: Given) -> list[str]:
    return [template_text(each) for each in given.templates]


def test_it_is_what_every_caller_gives(analyse: Analyse) -> None:
    found = analyse(WRAPPER)
    own = own_of(found)
    given = given_of(found)
    assert given.why == ""
    assert shown(given) == ["ctl -t {target} show", "ctl -t fixed --op new [-n {name}]"]
    assert [each.route[0].line for each in given.callers] == [11, 16]
    assert [each.templates for each in given.callers] == [(0,), (1,)]
    assert given.words_source == "['ctl', '-t', target, *words]"
    assert [site.covered for site in found.sites] == [False, True, True]
    carried = carrying(own)
    assert carried is not None
    assert carried.resolved
    assert carried.reasons == ()
    assert carried.templates == given.templates
    assert carrying(carried) is carried


def test_a_call_that_is_no_wrappers_own_is_given_nothing(analyse: Analyse) -> None:
    found = analyse(
        """
        from oslo_concurrency import processutils
        def remove(path):
            processutils.execute('rm', path, run_as_root=True)
        """
    )
    (site,) = found.sites
    assert site.given is None
    assert not site.covered
    assert carrying(site) is None


def test_a_wrapper_of_a_wrapper_passes_on(analyse: Analyse) -> None:
    """The way from its callers to the own call is told: proofs go it."""
    found = analyse(
        WRAPPER
        + """
    def _again(self, *words):
        return self._ctl('again', list(words))
    def twice(self):
        self._again('a')
        self._again('b', '-x')
"""
    )
    given = given_of(found)
    assert given.why == ""
    assert shown(given)[2:] == ["ctl -t again a", "ctl -t again b -x"]
    assert [[span.line for span in each.route] for each in given.callers][2:] == [
        [21, 19],
        [22, 19],
    ]
    assert all(site.covered for site in found.sites if site.via)


def test_functions_of_modules_and_their_imports(analyse: Analyse) -> None:
    found = analyse(
        """
        from service import tools
        from service.tools import ctl
        def one():
            tools.ctl(['a'])
        def other():
            ctl(['b'])
        """,
        tools="""
        from oslo_concurrency import processutils
        def ctl(words):
            '''Run ctl: say ctl with words.'''
            return processutils.execute('ctl', *words, run_as_root=True)
        """,
    )
    given = given_of(found)
    assert given.why == ""
    assert sorted(shown(given)) == ["ctl a", "ctl b"]


def test_a_name_that_is_also_a_commands(analyse: Analyse) -> None:
    """A word of a list with options is no name that is looked up."""
    text = """
        from oslo_concurrency import processutils
        def sysctl(words):
            words = ['sysctl', '-w'] + words
            return processutils.execute(*words, run_as_root=True)
        def one(value):
            sysctl(['a=%s' % value])
        """
    assert given_of(analyse(text)).why == ""
    looked_up = text + "def two(tools):\n            getattr(tools, 'sysctl')(['b'])\n"
    assert "uses sysctl in another way" in given_of(analyse(looked_up)).why


def test_a_package_that_convert_has_made(analyse: Analyse) -> None:
    """It has executables by the names of wrappers, and calls none."""
    text = "_CTL = Executable('_ctl')\n"
    assert "uses _ctl in another way" in given_of(analyse(WRAPPER, storage=text)).why
    assert (
        given_of(analyse(WRAPPER, storage=f"import x\n# privmigrate: 7a  a:1 b\n{text}")).why == ""
    )


def test_what_a_constant_may_be_is_left_to_the_list(analyse: Analyse) -> None:
    found = analyse(
        """
        from oslo_concurrency import processutils
        class Lvm:
            PREFIX = ['env', 'LC_ALL=C']
            def _run(self, words):
                return processutils.execute(*words, run_as_root=True)
            def show(self, name):
                self._run(Lvm.PREFIX + ['lvs', name])
            @staticmethod
            def more():
                Lvm.PREFIX = ['env', 'LC_ALL=C', 'FD=1']
        """
    )
    given = given_of(found)
    assert given.why == ""
    assert given.reasons == (Reason.REASSIGNED,)
    assert given.words_source == ""
    assert sorted(shown(given)) == ["LC_ALL=C FD=1 lvs {name}", "LC_ALL=C lvs {name}"]


@pytest.mark.parametrize("decorator", ["utils.retry(3)", "utils.synchronized('x')", "staticmethod"])
def test_a_decorator_that_only_calls_it(decorator: str, analyse: Analyse) -> None:
    first = "" if decorator == "staticmethod" else "self, "
    text = WRAPPER.replace("    def _ctl(self, ", f"    @{decorator}\n    def _ctl({first}")
    assert given_of(analyse(text)).why == ""


OTHER = "    def other(self, more):\n        "
LEFT = {
    "a subclass has another": (
        "class Sub(Driver):\n    def _ctl(self, target, words):\n        pass\n",
        "Sub._ctl overrides Driver._ctl",
    ),
    "a class that a subclass inherits from as well has another": (
        (
            "class Mixin:\n    def _ctl(self, target, words):\n        pass\n"
            "class Sub(Mixin, Driver):\n    pass\n"
        ),
        "Mixin._ctl overrides Driver._ctl",
    ),
    "it is assigned": (OTHER + "self._ctl = more\n", "Driver assigns _ctl as well"),
    "it is assigned from outside": ("def f(driver, g):\n    driver._ctl = g\n", "in another way"),
    "it is passed on as a value": (OTHER + "more(self._ctl)\n", "uses _ctl in another way"),
    "it is kept under another name": ("    again = _ctl\n", "uses _ctl in another way"),
    "it is looked up by its name": (OTHER + "getattr(self, '_ctl')('t', ['x'])\n", "another way"),
    "somebody calls it who is not known": (
        "def f(driver):\n    driver._ctl('t', ['x'])\n",
        "uses _ctl in another way",
    ),
    "a list comes from elsewhere": (
        OTHER + "self._ctl('t', more.words())\n",
        "module.py:18 gives it is not known (free-words)",
    ),
    "a text is split": (OTHER + "self._ctl('t', more.split())\n", "not known (split)"),
    "arguments come from elsewhere": (OTHER + "self._ctl(**more)\n", "not known"),
    "a caller is not called": (
        "    def again(self, words):\n        self._ctl('t', words)\n",
        "nothing calls Driver.again",
    ),
    "a caller may go to another host": (
        (
            "    def other(self, words):\n        self._ssh_execute('x', run_as_root=True)\n"
            "        run = self._ctl if words else self._ssh_execute\n"
            "        run('t', ['x'])\n"
        ),
        "gives it is not known (remote)",
    ),
    "it is called with something in front": (
        (
            "    def _nice(self, words):\n"
            "        processutils.execute(*words, run_as_root=True)\n"
            "    def other(self):\n        self._nice(['nice', 'ctl'])\n"
        ),
        "stands in front of a command",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_a_wrapper_is_left(name: str, analyse: Analyse) -> None:
    more, why = LEFT[name]
    found = analyse(WRAPPER + more)
    reasons = [site.given.why for site in found.sites if site.given is not None and site.given.why]
    assert [why for each in reasons if why in each] == [why], reasons
    (own,) = [site for site in found.sites if site.given is not None and site.given.why]
    assert carrying(own) is None
    end = {own.function}
    assert not any(site.covered and {each.rpartition(".")[2] for each in site.via} & end
                   for site in found.sites)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("    def _ctl", "    @expose\n    def _ctl", "is decorated with expose"),
        (
            "    def _ctl",
            "    @privsep.entrypoint\n    def _ctl",
            "decorated with privsep.entrypoint",
        ),
        ("LOG.debug(out)", "yield out", "does not run when it is called"),
        ("check_exit_code=codes)", "cwd=target)", "options"),
        ("check_exit_code=codes)", "**kwargs)", "options"),
        ("processutils.execute", "self.ssh_execute", "remote"),
        ("run_as_root=True", "run_as_root=kwargs.get('root', True)", ""),
    ],
)
def test_how_a_wrapper_is_written(old: str, new: str, why: str, analyse: Analyse) -> None:
    given = given_of(analyse(WRAPPER.replace(old, new, 1)))
    assert why in given.why
    assert bool(why) == bool(given.why)


def test_a_caller_that_does_not_run_as_root(analyse: Analyse) -> None:
    """Its command line would be checked as well, and no rule says which those are."""
    text = WRAPPER.replace("target, words, **kwargs", "target, words, root=True, **kwargs")
    text = text.replace("run_as_root=True", "run_as_root=root")
    assert given_of(analyse(text)).why == ""
    more = text + OTHER + "self._ctl('t', ['x'], root=False)\n"
    assert "uses _ctl in another way" in given_of(analyse(more)).why


def test_a_caller_that_may_run_something_else_as_well(analyse: Analyse) -> None:
    """What it runs is not all known, so that it is not covered; nor is the other one then."""
    found = analyse(
        """
        from oslo_concurrency import processutils
        class Driver:
            def _ctl(self, words, where=None):
                if where:
                    processutils.execute('ctl', *words, run_as_root=True, cwd=where)
                else:
                    processutils.execute('ctl', *words, run_as_root=True)
            def show(self):
                self._ctl(['show'])
        """
    )
    whys = [site.given.why for site in found.sites if site.given is not None]
    assert whys[0] == "options"
    assert whys[1].endswith("module.py:10 may run something else as well")
    assert not any(site.covered for site in found.sites)


def test_another_class_may_have_one_of_that_name(analyse: Analyse) -> None:
    found = analyse(
        WRAPPER
        + """
class Stranger:
    def _ctl(self, target, words):
        return target
    def use(self):
        return self._ctl('t', ['x'])
"""
    )
    assert given_of(found).why == ""


def test_a_function_inside_of_another_one(analyse: Analyse) -> None:
    found = analyse(
        """
        from oslo_concurrency import processutils
        def run_all(name):
            def run(words):
                return processutils.execute('ctl', *words, run_as_root=True)
            run(['a', name])
        """
    )
    assert given_of(found).why == "run_all.run is defined inside of another function"


def test_a_file_that_is_no_python_3_and_mentions_it(analyse: Analyse) -> None:
    found = analyse(WRAPPER, old="print driver._ctl('t', ['x'])\n")
    assert "old.py mentions _ctl, and is no Python 3" in given_of(found).why
