"""Unit tests move with the calls whose command lines they expect, or are listed and stay."""

import ast
from dataclasses import replace

import pytest

from privmigrate.callsites.site import Result, Template, Text, Value, Word
from privmigrate.convert.callers import FileChange
from privmigrate.convert.moves import Listed
from privmigrate.convert.replace import Replacement
from privmigrate.convert.unittests import MovedTests, move_tests
from privmigrate.diagnostics import Span
from tests.convert.rewriting import TARGET, op, outcome, site, use

SERVICE = """\
from svc import utils


class Driver:
    def plain(self, path):
        utils.execute('chmod', '777', path, run_as_root=True)

    def judged(self, path):
        return self._execute('chmod', '777', path, run_as_root=True, check_exit_code=[0, 3])

    def fed(self, path):
        utils.execute('tee', path, process_input=path, run_as_root=True)
"""
TEE = op("tee", "PATH", name="tee")


@pytest.fixture(scope="module")
def changes() -> list[FileChange]:
    change, left = outcome(
        SERVICE,
        use(SERVICE, "utils.execute('chmod'", "path"),
        use(SERVICE, "self._execute(", "path"),
        use(SERVICE, "utils.execute('tee'", "path", of=TEE, stdin="path"),
    )
    assert left == []
    assert change is not None
    return [change]


def moved(changes: list[FileChange], *lines: str) -> tuple[str, tuple[Listed, ...]]:
    """The test after its lines were looked at, and what stays; without its first two lines."""
    text = "\n".join(["class T:", *(f"    {line}" if line else "" for line in lines), ""])
    name = "svc/tests/test_driver.py"
    tests = move_tests(changes, {name: text.encode()}, TARGET)
    if not tests.changes:
        return text, tests.listed
    [change] = tests.changes
    ast.parse(change.after)
    assert change.document.data == text.encode()
    return change.after.decode(), tests.listed


ASSERTION = "m.assert_called_once_with('chmod', '777', '/p', run_as_root=True)"


@pytest.mark.parametrize(
    "patch",
    [
        "@mock.patch.object(utils, 'execute')",
        "@mock.patch('svc.utils.execute')",
        "@mock.patch('svc.driver.utils.execute')",
    ],
)
def test_a_decorator_patches_the_entrypoint(changes: list[FileChange], patch: str) -> None:
    after, listed = moved(
        changes,
        patch,
        "@mock.patch('os.chmod', new=None)",
        "@mock.patch('os.stat')",
        "def test_it(self, stat, m):",
        "    m.return_value = ('', '')  # nothing said",
        f"    {ASSERTION}",
    )
    assert listed == ()
    assert after == (
        "class T:\n"
        "    @mock.patch('svc.privileged.files.chmod_777')\n"
        "    @mock.patch('os.chmod', new=None)\n"
        "    @mock.patch('os.stat')\n"
        "    def test_it(self, stat, m):\n"
        "        m.return_value = ('', '')  # nothing said\n"
        "        m.assert_called_once_with('/p')\n"
    )


def test_a_with_statement_patches_the_entrypoint(changes: list[FileChange]) -> None:
    after, _ = moved(
        changes,
        "def test_it(self):",
        "    with mock.patch.object(utils, 'execute', side_effect=ValueError) as m, open('x'):",
        "        pass",
        "    with mock.patch.object(utils, 'execute', return_value=('a', '')) as m:",
        "        m.assert_called_once_with('tee', '/p', process_input='x', run_as_root=True)",
    )
    assert "side_effect=ValueError" in after
    after, listed = moved(
        changes,
        "def test_it(self):",
        "    with mock.patch.object(utils, 'execute', return_value=('a', '')) as m:",
        "        m.assert_called_once_with('tee', '/p', process_input='x', run_as_root=True)",
    )
    assert listed == ()
    assert after.splitlines()[2:] == [
        "        with mock.patch(",
        "                'svc.privileged.files.tee', return_value=('a', '')) as m:",
        "            m.assert_called_once_with('/p', stdin='x')",
    ]


def test_a_policy_is_asserted_too(changes: list[FileChange]) -> None:
    after, listed = moved(
        changes,
        "def test_it(self):",
        "    with mock.patch.object(self.driver, '_execute') as m:",
        "        m.side_effect = processutils.ProcessExecutionError()",
        "        m.assert_called_once_with(",
        "            'chmod', '777', '/p', run_as_root=True, check_exit_code=[0, 3])",
    )
    assert listed == ()
    assert after.splitlines()[2:] == [
        "        with mock.patch('svc.privileged.files.chmod_777') as m:",
        "            m.policy.return_value.side_effect = processutils.ProcessExecutionError()",
        "            m.policy.return_value.assert_called_once_with('/p')",
        "            m.policy.assert_called_once_with(check_exit_code=[0, 3])",
    ]


def test_mock_object_gets_the_module(changes: list[FileChange]) -> None:
    answer = "mock.Mock(return_value=('', ''))"
    after, listed = moved(
        changes,
        "def test_it(self):",
        f"    m = self.mock_object(utils, 'execute', {answer})",
        f"    {ASSERTION}",
        "",
        "def test_other(self):",
        "    self.mock_object(utils, 'execute')",
        "    utils.execute.assert_called_once_with('chmod', '777', '/p', run_as_root=True)",
        "    self.assertEqual(1, utils.execute.call_count)",
    )
    assert listed == ()
    assert after.splitlines() == [
        "import svc.privileged.files",
        "",
        "class T:",
        "    def test_it(self):",
        "        m = self.mock_object(",
        "            svc.privileged.files, 'chmod_777',",
        f"            {answer})",
        "        m.assert_called_once_with('/p')",
        "",
        "    def test_other(self):",
        "        self.mock_object(svc.privileged.files, 'chmod_777')",
        "        svc.privileged.files.chmod_777.assert_called_once_with('/p')",
        "        self.assertEqual(1, svc.privileged.files.chmod_777.call_count)",
    ]


@pytest.mark.parametrize("method", ["assert_has_calls", "assert_any_call", "assert_called_with"])
def test_what_leaves_room_for_other_commands_moves_only_with_a_count(
    changes: list[FileChange], method: str
) -> None:
    call = "'chmod', '777', '/p', run_as_root=True"
    given = f"[mock.call({call})]" if method == "assert_has_calls" else call
    lines = (
        "@mock.patch.object(utils, 'execute')",
        "def test_it(self, m):",
        f"    m.{method}({given})",
    )
    _, listed = moved(changes, *lines)
    assert [each.text for each in listed] == [
        "other commands may be executed through its mock as well"
    ]
    after, listed = moved(changes, *lines, "    self.assertEqual(1, m.call_count)")
    assert listed == ()
    expected = "[mock.call('/p')]" if method == "assert_has_calls" else "'/p'"
    assert f"m.{method}({expected})" in after


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["def test_it(self, m):", f"    {ASSERTION}"], "no patch of an executor"),
        (
            ["@ddt.data(1)", "def test_it(self, m):", f"    {ASSERTION}"],
            "no patch of an executor",
        ),
        (
            [
                "@mock.patch.object(utils, 'execute')",
                "def test_it(self, m):",
                "    m.side_effect = self.answer",
                f"    {ASSERTION}",
            ],
            "depends on the command line",
        ),
        (
            [
                "@mock.patch.object(utils, 'execute', autospec=True)",
                "def test_it(self, m):",
                f"    {ASSERTION}",
            ],
            "its patch has autospec",
        ),
        (
            [
                "@mock.patch.object(utils, 'execute')",
                "def test_it(self, m):",
                "    self.driver.run(m)",
                f"    {ASSERTION}",
            ],
            "m is used otherwise too",
        ),
        (
            [
                "@mock.patch.object(utils, 'execute')",
                "def test_it(self, m):",
                f"    {ASSERTION}",
                "    m.assert_called_once_with('tee', '/p', process_input='', run_as_root=True)",
            ],
            "commands of several entrypoints",
        ),
        (
            [
                "@mock.patch.object(utils, 'execute')",
                "def test_it(self, m):",
                "    m.assert_called_once_with('chmod', '666', '/p', run_as_root=True)",
            ],
            "no call that went runs this",
        ),
        (
            [
                "@mock.patch.object(self.driver, '_execute')",
                "def test_it(self, m):",
                "    m.assert_called_once_with('chmod', '777', *words, run_as_root=True)",
            ],
            "no call that went runs this",
        ),
        (
            [
                "@mock.patch.object(self.driver, '_execute')",
                "def test_it(self, m):",
                "    m.assert_called_once_with('chmod', '777', '/p', run_as_root=True,",
                "                              check_exit_code=[0, 4])",
            ],
            "no call that went runs this",
        ),
    ],
)
def test_what_cannot_be_told_is_listed_and_stays(
    changes: list[FileChange], lines: list[str], why: str
) -> None:
    after, listed = moved(changes, *lines)
    assert after == "\n".join(["class T:", *(f"    {line}" for line in lines), ""])
    assert listed
    assert all(why in each.text for each in listed)
    assert all(each.span.line > 1 for each in listed)


def test_a_call_that_stays_may_be_meant(changes: list[FileChange]) -> None:
    """Then nobody can tell which of the two the test is about."""
    lines = ["@mock.patch.object(utils, 'execute')", "def test_it(self, m):", f"    {ASSERTION}"]
    text = "\n".join(["class T:", *(f"    {line}" for line in lines), ""]).encode()
    other = "utils.execute('chmod', mode, path, run_as_root=True)\n"
    span = Span("svc/other.py", 1, 1)
    first, middle, last = Text("chmod"), Value("mode", span), Value("path", span)
    for word, stays in ((middle, True), (Text("755"), False)):
        template = Template((Word((first,)), Word((word,)), Word((last,))))
        made = replace(site(other, "utils.execute("), span=span, templates=(template,))
        tests = move_tests(changes, {"tests/test_x.py": text}, TARGET, [made])
        why = ["a call that stays may run this too"] * stays
        assert [each.text for each in tests.listed] == why
        assert bool(tests.changes) is not stays


def with_nothing_looked_at(each: Replacement) -> Replacement:
    """The same, of a call whose result nobody looks at."""
    site = replace(each.use.site, result=Result.IGNORED)
    return replace(each, use=replace(each.use, site=site))


@pytest.mark.parametrize("judged", [False, True])
def test_a_mock_is_added_where_the_executors_is_somewhere_else(
    changes: list[FileChange],
    judged: bool,  # noqa: FBT001
) -> None:
    options = ", check_exit_code=[0, 3]" if judged else ""
    header = ["from unittest import mock", "", "", "class T:"]
    lines = [
        "def test_it(self):",
        '    """What it is about."""',
        "    self.driver.run()",
        f"    self.ex.assert_any_call('chmod', '777', '/p', run_as_root=True{options})",
    ]
    text = "\n".join([*header, *(f"    {line}" for line in lines), ""])
    quiet = [
        replace(each, replacements=tuple(map(with_nothing_looked_at, each.replacements)))
        for each in changes
    ]
    tests = move_tests(quiet, {"tests/test_x.py": text.encode()}, TARGET)
    assert tests.listed == ()
    [after] = tests.changes
    receiver = "mock_chmod_777.policy.return_value" if judged else "mock_chmod_777"
    expected = [
        "    def test_it(self):",
        '        """What it is about."""',
        "        patcher = mock.patch('svc.privileged.files.chmod_777')",
        "        mock_chmod_777 = patcher.start()",
        "        self.addCleanup(patcher.stop)",
        "        self.driver.run()",
        f"        {receiver}.assert_any_call('/p')",
    ]
    if judged:
        expected.append("        mock_chmod_777.policy.assert_called_with(check_exit_code=[0, 3])")
    assert after.after.decode().splitlines()[4:] == expected
    listed = move_tests(changes, {"tests/test_x.py": text.encode()}, TARGET).listed
    assert len(listed) == 1, "what is given back is looked at"
    failing = text.replace("    self.driver.run()", "    self.assertRaises(E, self.driver.run)")
    listed = move_tests(quiet, {"tests/test_x.py": failing.encode()}, TARGET).listed
    assert len(listed) == 1, "an error is expected"


def test_a_test_that_is_no_python_is_listed(changes: list[FileChange]) -> None:
    tests = move_tests(changes, {"tests/x.py": b"print 'chmod'\n"}, TARGET)
    assert tests.changes == ()
    assert "is no Python 3" in tests.listed[0].text


def test_other_files_are_not_looked_at(changes: list[FileChange]) -> None:
    text = f"def helper(m):\n    {ASSERTION}\n".encode()
    assert move_tests(changes, {"svc/other.py": text}, TARGET) == MovedTests()
