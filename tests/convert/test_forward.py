"""Tests that mock executors in any way go on: a base class forwards commands to what they mock."""

import ast

import pytest

from privmigrate.convert.callers import FileChange
from privmigrate.convert.forward import fixture_text, forwards_of, name_of
from privmigrate.convert.replaced import remembered
from privmigrate.convert.unittests import MovedTests, move_tests
from tests.convert.rewriting import CHMOD, TARGET, outcome, use

SERVICE = """\
from svc import utils
from oslo_concurrency import processutils as putils


class Driver:
    def plain(self, path):
        self._execute('chmod', '777', path, run_as_root=True, root_helper=self._root_helper)

    def judged(self, path):
        putils.execute('chmod', '777', path, run_as_root=True, check_exit_code=[0, 3])

    def called(self, path, execute):
        execute('chmod', '777', path, root_helper=utils.helper(), delay_on_retry=True)

    def chosen(self, path):
        self.run[0]('chmod', '777', path, run_as_root=True)

    def keep(self):
        return utils
"""
BASE = """\
import mock
import testtools

from svc import utils


class Base(testtools.TestCase):
    def setUp(self):
        super(Base, self).setUp()
        self.x = 1
"""
MIXIN = """\
class Mixin(object):
    def test_any(self):
        self.driver._execute.assert_any_call('chmod', '777', '/p', run_as_root=True)
"""
TEST = """\
from unittest import mock

from svc.tests import base
from svc import driver


class DriverTest(base.Base):
    def setUp(self):
        super().setUp()
        self.driver = driver.Driver()
        self.driver._execute = mock.Mock()

    def test_it(self):
        self.driver.plain('/p')
        self.driver._execute.assert_has_calls([
            mock.call('chmod', '777', '/p', run_as_root=True, root_helper='x'),
            mock.call('stat', '/p')])
        self.driver._execute.assert_any_call('chmod', '666', '/p')
"""


def change_of(*texts: str) -> FileChange:
    uses = [
        use(SERVICE, text, "path", function=f"Driver.{name}", module="svc.driver")
        for text, name in (each.split("|") for each in texts)
    ]
    change, left = outcome(SERVICE, *uses)
    assert left == []
    assert change is not None
    return change


PLAIN = "self._execute(|plain"


def moved(files: dict[str, str], *texts: str) -> tuple[dict[str, str], MovedTests]:
    """What files become, and everything that is told of them."""
    data = {name: text.encode() for name, text in files.items()}
    tests = move_tests([change_of(*(texts or (PLAIN,)))], data, TARGET)
    after = {each.document.name: each.after.decode() for each in tests.changes}
    for text in after.values():
        ast.parse(text)
    return after, tests


def test_calls_are_told_without_their_words() -> None:
    change = change_of(PLAIN, "putils.execute(|judged", "execute(|called")
    forwards = forwards_of([change])
    names = {each.use.site.span: name_of(each.use.site) for each in change.replacements}
    assert {names[span]: text for span, text in forwards.calls.items()} == {
        "svc.driver.Driver.plain": "self._execute(root_helper=self._root_helper, run_as_root=True)",
        # its import went, and what the entrypoint is told does not belong to it
        "svc.driver.Driver.judged": "oslo_concurrency.processutils.execute(run_as_root=True)",
        "svc.driver.Driver.called": "execute(delay_on_retry=True, root_helper=utils.helper())",
    }
    assert forwards.unknown == frozenset()


def test_a_call_that_names_alone_cannot_make_is_known_to_be_none() -> None:
    change = change_of("self.run[0](|chosen")
    forwards = forwards_of([change])
    assert forwards.calls == {}
    assert forwards.unknown == {change.replacements[0].use.site.span}


def test_a_function_that_called_one_command_in_two_ways_cannot_tell_which() -> None:
    change = change_of(PLAIN)
    [each] = change.replacements
    entrypoint = f"{each.use.op.module}.{each.use.op.name}"
    now = "self._execute(root_helper=self._root_helper, run_as_root=True)"
    for before, known in ((now, True), ("utils.execute()", False), ("", True)):
        earlier = remembered(each.use.op.key, entrypoint, each.use.site, before)
        forwards = forwards_of([change], [earlier] if before else [])
        assert bool(forwards.calls) is known
        assert bool(forwards.unknown) is not known


def test_the_class_furthest_above_forwards() -> None:
    files = {"svc/tests/base.py": BASE, "svc/tests/test_driver.py": TEST}
    after, tests = moved(files)
    assert list(after) == ["svc/tests/base.py"]
    assert after["svc/tests/base.py"].splitlines()[:13] == [
        "import mock",
        "from privmigrate import testing as privmigrate_testing",
        "import testtools",
        "",
        "from svc import utils",
        "",
        "",
        "class Base(testtools.TestCase):",
        "    def setUp(self):",
        "        super(Base, self).setUp()",
        "        # Commands of entrypoints go to the executors that tests mock.",
        "        self.useFixture(privmigrate_testing.Forwarding('svc.privileged'))",
        "        self.x = 1",
    ]
    assert (tests.forwarded, tests.listed) == (1, ())
    again, _ = moved({**files, **after}, PLAIN, "putils.execute(|judged")
    assert again == {}


def test_a_long_name_of_the_package_gets_a_line() -> None:
    text = fixture_text("svc.a_package_with_a_long_name", " " * 8, 79, use_fixture=True)
    assert text.splitlines()[1:] == [
        "self.useFixture(",
        "    privmigrate_testing.Forwarding('svc.a_package_with_a_long_name'))",
    ]


def test_a_class_without_set_up_gets_one() -> None:
    base = BASE.replace("    def setUp(self):\n        super(Base, self).setUp()\n", "").replace(
        "        self.x = 1\n", "    X = 1\n"
    )
    after, _ = moved({"svc/tests/base.py": base, "svc/tests/test_driver.py": TEST})
    assert after["svc/tests/base.py"].splitlines()[7:14] == [
        "class Base(testtools.TestCase):",
        "    X = 1",
        "",
        "    def setUp(self):",
        "        super().setUp()",
        "        # Commands of entrypoints go to the executors that tests mock.",
        "        self.useFixture(privmigrate_testing.Forwarding('svc.privileged'))",
    ]


def test_a_set_up_that_is_made_takes_what_the_one_above_takes() -> None:
    real = BASE.replace("def setUp(self)", "def setUp(self, plugin=None)")
    functional = "from svc.tests import base\nroot_helper = 1\n\nclass X(base.Base):\n    pass\n"
    test = TEST.replace(
        "    def setUp(self):\n        super().setUp()\n", "    def prepare(self):\n"
    )
    files = {"svc/tests/base.py": real, "svc/tests/functional/x.py": functional}
    after, _ = moved({**files, "svc/tests/test_driver.py": test})
    assert list(after) == ["svc/tests/test_driver.py"]
    assert (
        "    def setUp(self, *args, **kwargs):\n        super().setUp(*args, **kwargs)\n"
        in (after["svc/tests/test_driver.py"])
    )


def test_tests_of_unittest_alone_start_it_themselves() -> None:
    base = BASE.replace("testtools", "unittest")
    after, _ = moved({"svc/tests/base.py": base, "svc/tests/test_driver.py": TEST})
    assert after["svc/tests/base.py"].splitlines()[10:12] == [
        "        # Commands of entrypoints go to the executors that tests mock.",
        "        self.enterContext(privmigrate_testing.Forwarding('svc.privileged'))",
    ]


def test_tests_of_a_class_that_is_mixed_in_are_forwarded() -> None:
    files = {
        "svc/tests/base.py": BASE,
        "svc/tests/mixin.py": MIXIN,
        "svc/tests/test_driver.py": TEST.replace("(base.Base)", "(mixin.Mixin, base.Base)").replace(
            "import base", "import base, mixin"
        ),
    }
    _, tests = moved(files)
    assert (tests.forwarded, tests.listed) == (2, ())
    _, tests = moved({**files, "svc/tests/test_driver.py": TEST})
    assert tests.forwarded == 1
    assert [str(each.span) for each in tests.listed] == ["svc/tests/mixin.py:3:9"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("svc/tests/base.py", "testtools.TestCase", "another.TestCase"),
        ("svc/tests/test_driver.py", "class DriverTest(base.Base)", "class DriverTest(base.Gone)"),
        ("svc/tests/test_driver.py", "class DriverTest(base.Base)", "class DriverTest"),
        ("svc/tests/test_driver.py", "from svc.tests import base", "from x import base"),
    ],
)
def test_what_cannot_be_told_is_listed(name: str, old: str, new: str) -> None:
    files = {"svc/tests/base.py": BASE, "svc/tests/test_driver.py": TEST}
    after, tests = moved({**files, name: files[name].replace(old, new)})
    assert after == {}
    assert tests.forwarded == 0
    assert len(tests.listed) >= 1


def test_assertions_of_calls_that_cannot_be_made_are_listed() -> None:
    files = {"svc/tests/base.py": BASE, "svc/tests/test_driver.py": TEST}
    _, tests = moved(files, PLAIN, "self.run[0](|chosen")
    assert {each.text for each in tests.listed} == {"its call cannot be made again by names alone"}


def test_tests_that_execute_for_real_are_not_forwarded() -> None:
    functional = "from svc.tests import base\n\nclass X(base.Base):\n    root_helper = 'sudo'\n"
    files = {
        "svc/tests/base.py": BASE,
        "svc/tests/test_driver.py": TEST,
        "svc/tests/functional/test_x.py": functional + "\nfrom svc import driver\n",
    }
    after, tests = moved(files)
    assert list(after) == ["svc/tests/test_driver.py"]
    assert tests.forwarded == 1
    files["svc/tests/functional/test_x.py"] = functional.replace("root_helper", "helper")
    after, _ = moved(files)
    assert list(after) == ["svc/tests/base.py"]


def test_with_oslos_runtime_nothing_is_forwarded() -> None:
    files = {"svc/tests/base.py": BASE.encode(), "svc/tests/test_driver.py": TEST.encode()}
    target = type(TARGET)("svc.privileged", policies=False)
    tests = move_tests([change_of(PLAIN)], files, target)
    assert (tests.forwarded, len(tests.listed)) == (0, 2)
    assert CHMOD.command == "chmod"
