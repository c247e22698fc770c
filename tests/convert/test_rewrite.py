"""Calls are replaced, and nothing else changes; what would change the meaning stays."""

import ast
from dataclasses import replace
from typing import Any

import libcst as cst
import pytest

from privmigrate.callsites.site import Convention, Reason, Root
from privmigrate.convert.callers import rewrite_callers
from privmigrate.convert.document import Unreadable, read
from privmigrate.convert.operation import Hole, Lit, Op
from privmigrate.convert.replace import Because, Target
from privmigrate.convert.use import Argument, Form
from tests.convert.rewriting import CHMOD, NEVER, TARGET, op, outcome, rewritten, use

IMPORTS = "import os\n\nimport svc.exception\nfrom svc import utils\n\n\n"
HEAD = "import os\n\nimport svc.exception\nimport svc.privileged.files\n\n\n"
FROM = "from svc.privileged import files as privileged_files\n"
PRIVSEP = "from svc.privsep import os as privsep_os\n\n"


def body(*lines: str) -> str:
    return "\n".join(["def fix(self, path):", *(f"    {line}" for line in lines), ""])


def call_in(*lines: str, **changes: Any) -> str:
    """The function after its only call was replaced."""
    source = IMPORTS + body(*lines, "utils.other()")
    after = rewritten(source, use(source, "utils.execute(", "path", **changes)).decode()
    assert "import svc.privileged.files\n" in after
    return after.partition("\n\n\n")[2]


def test_a_call_becomes_the_entrypoint_and_the_import_is_added() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', path, run_as_root=True)")
    after = rewritten(source, use(source, "utils.execute(", "path")).decode()
    assert after == HEAD + body("svc.privileged.files.chmod_777(path)")


@pytest.mark.parametrize(
    ("options", "judged"),
    [
        ("", ""),
        ("check_exit_code=True", ""),
        ("check_exit_code=0", ""),
        ("check_exit_code=[0]", ""),
        ("attempts=1", ""),
        ("root_helper=utils.get_root_helper()", ""),
        ("log_errors=processutils.LogErrors.DEFAULT", ""),
        ("check_exit_code=False", ".policy(check_exit_code=False)"),
        ("check_exit_code=[0, 5]", ".policy(check_exit_code=[0, 5])"),
        ("check_exit_code=1", ".policy(check_exit_code=1)"),
        ("check_exit_code=codes", ".policy(check_exit_code=codes)"),
        ("attempts=3, delay_on_retry=False", ".policy(attempts=3, delay_on_retry=False)"),
        ("log_errors=1, loglevel=20", ".policy(log_errors=1, loglevel=20)"),
    ],
)
def test_what_says_how_a_result_is_judged_is_kept(options: str, judged: str) -> None:
    after = call_in(f"out = utils.execute('chmod', '777', path, run_as_root=True, {options})")
    assert f"out = svc.privileged.files.chmod_777{judged}(path)" in "".join(
        after.split("\n")
    ).replace("(        ", "(").replace("        ", "")


def test_limits_of_time_are_kept_where_they_mean_the_same() -> None:
    """Those of os-brick's executor; processutils raises another error for `timeout`."""
    options = "attempts=3, timeout=300, interval=10, backoff_rate=2, raise_timeout=None"
    line = f"utils.execute('chmod', '777', path, run_as_root=True, {options})"
    after = call_in(line, through=("os_brick.executor.Executor._execute",))
    joined = "".join(after.split())
    assert "chmod_777.policy(attempts=3,timeout=300,interval=10)(path)" in joined
    source = IMPORTS + body(line)
    _, left = outcome(source, use(source, "utils.execute(", "path"))
    assert [each.because for each in left] == [Because.OPTIONS]


def test_a_conditional_root_is_asked_once() -> None:
    after = call_in(
        "utils.execute('chmod', '777', path, run_as_root=self._as_root, check_exit_code=False)",
        root=Root.CONDITIONAL,
        condition="self._as_root",
    )
    assert "(run_as_root=self._as_root)" not in after
    joined = "".join(after.split())
    assert "chmod_777.policy(check_exit_code=False,run_as_root=self._as_root)(path)" in joined
    assert after.count("self._as_root") == 1


def test_input_becomes_stdin() -> None:
    after = call_in(
        "utils.execute('chmod', '777', path, run_as_root=True, process_input=data)", stdin="data"
    )
    assert "svc.privileged.files.chmod_777(path, stdin=data)" in after


def test_neutrons_convention_is_kept() -> None:
    source = IMPORTS + body(
        "return utils.execute(['chmod', '777', path], run_as_root=True,",
        "                     extra_ok_codes=[1], return_stderr=True)",
    )
    after = rewritten(
        source, use(source, "utils.execute(", "path", convention=Convention.LIST)
    ).decode()
    assert after.endswith(
        "    return svc.privileged.files.chmod_777.neutron(\n"
        "        extra_ok_codes=[1], return_stderr=True)(path)\n"
    )
    tree = ast.parse(after)
    assert isinstance(tree.body[-1], ast.FunctionDef)


def test_a_checked_form_keeps_the_list() -> None:
    source = IMPORTS + body(
        "cmd = ['chmod', '777']",
        "cmd.append(path)",
        "utils.execute(*cmd, run_as_root=True)",
    )
    made = use(source, "utils.execute(", "path")
    checked = replace(made, form=Form.CHECKED, arguments=(Argument("words", "cmd"),))
    assert rewritten(source, checked).decode() == HEAD + body(
        "cmd = ['chmod', '777']",
        "cmd.append(path)",
        "svc.privileged.files.chmod_777(cmd)",
    )


# -- what the call no longer needs


def test_what_only_built_the_command_line_goes_and_its_comments_stay() -> None:
    source = IMPORTS + body(
        "mode = '777'",
        "# wide, because of nfs",
        "cmd = ['chmod']",
        "if path:",
        "    cmd += [mode]",
        "",
        "cmd.extend([path])  # the share",
        "# now",
        "utils.execute(*cmd, run_as_root=True)",
        "return path",
    )
    assert rewritten(source, use(source, "utils.execute(", "path")).decode() == HEAD + body(
        "# wide, because of nfs",
        "",
        "# now",
        "# the share",
        "svc.privileged.files.chmod_777(path)",
        "return path",
    )


@pytest.mark.parametrize(
    "reader",
    [
        "LOG.debug('run %s', cmd)",
        "self.ran = cmd",
        "return lambda: cmd",
        "del cmd",
        "for cmd in self: pass",
    ],
)
def test_a_list_that_something_else_reads_stays(reader: str) -> None:
    source = IMPORTS + body(
        "cmd = ['chmod', '777', path]", "utils.execute(*cmd, run_as_root=True)", reader
    )
    assert rewritten(source, use(source, "utils.execute(", "path")).decode() == HEAD + body(
        "cmd = ['chmod', '777', path]", "svc.privileged.files.chmod_777(path)", reader
    )


def test_a_list_that_calls_something_stays() -> None:
    """What the call may do is still done."""
    source = IMPORTS + body(
        "cmd = ['chmod', '777', path, self.count()]", "utils.execute(*cmd, run_as_root=True)"
    )
    after = rewritten(source, use(source, "utils.execute(", "path")).decode()
    assert "self.count()" in after


def test_a_loop_that_filled_the_list_goes() -> None:
    source = IMPORTS + body(
        "cmd = ['chmod', '777']",
        "for option in self.options:",
        "    cmd.append(option)",
        "cmd += [path]",
        "utils.execute(*cmd, run_as_root=True)",
    )
    assert rewritten(source, use(source, "utils.execute(", "path")).decode() == HEAD + body(
        "svc.privileged.files.chmod_777(path)"
    )


def test_parameters_and_shared_names_stay() -> None:
    source = IMPORTS + "def fix(self, path, cmd):\n    global mode\n    mode = '7'\n"
    source += "    utils.execute(*cmd, mode, run_as_root=True)\n"
    after = rewritten(source, use(source, "utils.execute(", "path")).decode()
    assert "def fix(self, path, cmd):" in after
    assert "mode = '7'" in after


def test_a_helper_that_only_the_call_used_goes() -> None:
    source = (
        IMPORTS
        + "def _mode(x):\n    return ['chmod', x]\n\n\n"
        + body("utils.execute(*_mode('777'), path, run_as_root=True)")
    )
    assert rewritten(source, use(source, "utils.execute(", "path")).decode() == HEAD + body(
        "svc.privileged.files.chmod_777(path)"
    )


def test_a_helper_that_a_test_names_stays() -> None:
    source = (
        IMPORTS
        + "def _mode(x):\n    return ['chmod', x]\n\n\n"
        + body("utils.execute(*_mode('777'), path, run_as_root=True)")
    )
    change, _ = outcome(
        source, use(source, "utils.execute(", "path"), others={"t.py": "driver._mode('1')"}
    )
    assert change is not None
    assert b"def _mode" in change.after


def test_an_import_that_a_test_patches_stays_and_is_said() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', path, run_as_root=True)")
    change, _ = outcome(
        source,
        use(source, "utils.execute(", "path"),
        others={"t.py": "from svc import driver as d\nmock.patch.object(d.utils, 'execute')\n"},
    )
    assert change is not None
    assert b"from svc import utils\n" in change.after
    assert [(each.name, each.elsewhere) for each in change.kept] == [("utils", "t.py")]


# -- comments, layout, bytes


def test_comments_inside_a_call_come_to_stand_above_it() -> None:
    after = call_in(
        "if path:",
        "    out, err = utils.execute('chmod',  # noqa: S603",
        "                             '777',  # everybody",
        "                             path, run_as_root=True)  # done",
    )
    assert after == body(
        "if path:",
        "    # everybody",
        "    out, err = svc.privileged.files.chmod_777(path)  # done",
        "utils.other()",
    )


@pytest.mark.parametrize(
    "line",
    [
        "return utils.execute('chmod', '777', path, run_as_root=True)[0]",
        "if utils.execute('chmod', '777', path, run_as_root=True): pass",
        "x = (utils.execute('chmod', '777', path, run_as_root=True))",
        "x = [utils.execute('chmod', '777', path, run_as_root=True) for _ in path]",
        "x = 1; utils.execute('chmod', '777', path, run_as_root=True); y = 2",
        "x = utils.execute('chmod', '777', path, run_as_root=True)[0].split('\\n')",
    ],
)
def test_what_is_around_the_call_stays(line: str) -> None:
    expected = line.replace(
        "utils.execute('chmod', '777', path, run_as_root=True)",
        "svc.privileged.files.chmod_777(path)",
    )
    assert call_in(line) == body(expected, "utils.other()")


def test_bytes_elsewhere_stay() -> None:
    """Windows line ends, tabs, a byte order mark, another encoding, no newline at the end."""
    text = (
        "# -*- coding: latin-1 -*-\r\nfrom svc import utils\r\n\r\n\r\n"
        "def fix(path):\r\n\tname = 'é'   ;  x = 1\r\n\tcmd = ['chmod', '777', path]\r\n"
        "\tutils.execute(*cmd, run_as_root=True)  # für\r\n\tutils.other( name,x )"
    )
    made = use(text, "utils.execute(", "path")
    after = rewritten(text.encode("latin-1"), made)
    assert after == text.replace(
        "\tcmd = ['chmod', '777', path]\r\n\tutils.execute(*cmd, run_as_root=True)",
        "\tsvc.privileged.files.chmod_777(path)",
    ).replace(
        "from svc import utils",
        "from svc.privileged import files as privileged_files\r\nfrom svc import utils",
    ).replace("svc.privileged.files.", "privileged_files.").encode("latin-1")
    marked = b"\xef\xbb\xbf" + IMPORTS.encode() + body("utils.execute('chmod', path)").encode()
    plain = marked.removeprefix(b"\xef\xbb\xbf").decode()
    assert rewritten(marked, use(plain, "utils.execute(", "path")).startswith(b"\xef\xbb\xbfimport")


def test_columns_are_characters() -> None:
    source = IMPORTS + body("x = 'äöü'; y = utils.execute('chmod', '777', path, run_as_root=True)")
    made = use(source, "utils.execute(", "path")
    at = source.splitlines()[made.site.span.line - 1].index("utils.execute(") + 1
    made = replace(made, site=replace(made.site, span=replace(made.site.span, column=at)))
    assert "x = 'äöü'; y = svc.privileged.files.chmod_777(path)" in rewritten(source, made).decode()


def test_long_calls_are_broken_as_openstack_does() -> None:
    long = op("chmod", "PATH", "OWNER", name="chmod_of_a_very_long_name", keywords=("owner",))
    source = IMPORTS + body(
        "(out, err) = utils.execute('chmod', self.path_of_the_share, self.the_owner_of_the_share)"
    )
    made = use(
        source,
        "utils.execute(",
        "self.path_of_the_share",
        "self.the_owner_of_the_share",
        of=long,
    )
    assert rewritten(source, made).decode() == HEAD + body(
        "(out, err) = svc.privileged.files.chmod_of_a_very_long_name(",
        "    self.path_of_the_share, owner=self.the_owner_of_the_share)",
    )


def test_a_second_run_finds_nothing_to_change() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', path, run_as_root=True)")
    made = use(source, "utils.execute(", "path")
    after = rewritten(source, made)
    change, left = outcome(after, made)
    assert change is None
    assert [each.because for each in left] == [Because.MOVED]


# -- where the import goes


@pytest.mark.parametrize(
    ("before", "after", "callee"),
    [
        ("import os\n", "import os\n\nimport svc.privileged.files\n", "svc.privileged.files"),
        ('"""Doc."""\n', '"""Doc."""\n\nimport svc.privileged.files\n', "svc.privileged.files"),
        ("", "import svc.privileged.files\n\n", "svc.privileged.files"),
        ("# only\n\n", "# only\n\nimport svc.privileged.files\n\n", "svc.privileged.files"),
        (
            "import os\n\n" + PRIVSEP + "x = privsep_os\n",
            "import os\n\n" + FROM + PRIVSEP + "x = privsep_os\n",
            "privileged_files",
        ),
        (
            PRIVSEP + "privileged_files = 1\n",
            "from svc.privileged import files\n" + PRIVSEP + "privileged_files = 1\n",
            "files",
        ),
        ("import svc.privileged.files\n", "import svc.privileged.files\n", "svc.privileged.files"),
        (
            "from svc.privileged import files as f\n",
            "from svc.privileged import files as f\n",
            "f",
        ),
        (
            "import svc.zzz\n\nsvc.zzz\n",
            "import svc.privileged.files\nimport svc.zzz\n\nsvc.zzz\n",
            "svc.privileged.files",
        ),
        (
            "from svc import a\nfrom svc import z  # b\n\na, z\n",
            "from svc import a\n" + FROM + "from svc import z  # b\n\na, z\n",
            "privileged_files",
        ),
        ("svc = 1\n", FROM + "\nsvc = 1\n", "privileged_files"),
        (
            "try:\n    import x\nexcept Exception:\n    x = 0\n",
            "import svc.privileged.files\n\ntry:\n    import x\nexcept Exception:\n    x = 0\n",
            "svc.privileged.files",
        ),
    ],
)
def test_the_import_goes_where_hacking_has_it(before: str, after: str, callee: str) -> None:
    tail = "def f(path):\n    execute('chmod', '777', path)\n"
    made = use(before + tail, "execute(", "path")
    changed = rewritten(before + tail, made).decode()
    assert changed == f"{after}def f(path):\n    {callee}.chmod_777(path)\n"


def test_a_file_in_which_every_name_is_taken_stays() -> None:
    source = "svc = files = privileged_files = 1\nexecute('chmod', '777', svc)\n"
    change, left = outcome(source, use(source, "execute(", "svc"))
    assert change is None
    assert [each.because for each in left] == [Because.NAME]


# -- what stays


@pytest.mark.parametrize("reason", NEVER)
def test_what_is_not_certain_is_never_replaced(reason: Reason) -> None:
    """Remote hosts, reassigned constants, injected executors, unknown options, shells."""
    source = IMPORTS + body("utils.execute('chmod', '777', path, run_as_root=True)")
    made = use(source, "utils.execute(", "path", reasons=(reason,))
    for each in (made, replace(made, as_built=reason is not Reason.REASSIGNED)):
        change, left = outcome(source, each)
        assert change is None
        assert [one.code for one in left] == [reason.value]


@pytest.mark.parametrize(
    ("call", "because"),
    [
        ("utils.execute('chmod', '777', path, **options)", Because.OPTIONS),
        ("utils.execute('chmod', '777', path, cwd='/')", Because.OPTIONS),
        ("utils.execute('chmod', '777', path, timeout=3)", Because.OPTIONS),
        ("utils.execute('chmod', '777', path, shell=True)", Because.OPTIONS),
        ("utils.execute('chmod', '777', path, process_input=data)", Because.OPTIONS),
        ("utils.execute('chmod', '777', path, addl_env={'A': 'b'})", Because.OPTIONS),
        ("utils.execute('chmod', self.mode(), path)", Because.ORDER),
        ("utils.execute('chmod', (yield), path)", Because.ORDER),
        ("utils.execute('chmod', (x := '777'), path)", Because.ORDER),
        ("utils.execute('chmod', '777', path, check_exit_code=utils.execute('x'))", None),
        ("[utils.execute(*cmd) for path in self]", None),
        ("(lambda: utils.execute(*cmd))", Because.SCOPE),
        ("(lambda path: utils.execute(*cmd))", Because.SCOPE),
    ],
)
def test_what_would_change_the_meaning_stays(call: str, because: Because | None) -> None:
    source = IMPORTS + body("cmd = ['chmod', '777', path]", call, "utils.other()")
    change, left = outcome(source, use(source, "utils.execute(", "path"))
    assert change is None
    assert len(left) == 1
    assert because is None or left[0].because is because


def test_an_awaited_call_stays() -> None:
    source = "async def fix(path):\n    await execute('chmod', '777', path)\n"
    _, left = outcome(source, use(source, "execute(", "path"))
    assert [each.because for each in left] == [Because.SCOPE]


def test_a_name_of_another_function_is_never_written() -> None:
    source = IMPORTS + body("utils.execute(*self.words(), run_as_root=True)")
    source += "def words(self):\n    inner = '/x'\n    return ['chmod', '777', inner]\n"
    _, left = outcome(source, use(source, "utils.execute(", "inner"))
    assert [each.because for each in left] == [Because.SCOPE]


def test_arguments_with_effects_keep_their_order() -> None:
    """`find -o OPTION PATH` takes the path first, and evaluates it last."""
    both = op("find", "OWNER", "PATH", name="find", keywords=("owner",))
    both = replace(both, params=both.params[::-1], words=(Hole(1), Hole(0)))
    source = IMPORTS + body("utils.execute('find', self.owner(), self.path())", "utils.x()")
    made = use(source, "utils.execute(", "self.path()", "self.owner()", of=both)
    after = rewritten(source, made).decode()
    assert "svc.privileged.files.find(owner=self.owner(), path=self.path())" in after


def test_a_condition_is_not_asked_before_arguments_with_effects() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', self.find(), run_as_root=self._root)")
    _, left = outcome(
        source,
        use(
            source,
            "utils.execute(",
            "self.find()",
            root=Root.CONDITIONAL,
            condition="self._root",
        ),
    )
    assert [each.because for each in left] == [Because.ORDER]


def test_calls_inside_of_each_other_stay() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', self._execute('chmod', '777', path)[0])")
    _, left = outcome(
        source,
        use(source, "utils.execute(", "self._execute('chmod', '777', path)[0]"),
        use(source, "self._execute(", "path"),
    )
    assert {each.because for each in left} == {Because.NESTED}


def test_an_entrypoint_that_the_package_lacks_is_said() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', path)")
    target = Target("svc.privileged", policies=True, entrypoints=frozenset())
    _, left = outcome(source, use(source, "utils.execute(", "path"), target=target)
    assert [each.because for each in left] == [Because.MISSING]
    assert "run privmigrate convert" in left[0].text


def test_oslo_privsep_cannot_judge_otherwise() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', path, check_exit_code=False)")
    target = replace(TARGET, policies=False)
    _, left = outcome(source, use(source, "utils.execute(", "path"), target=target)
    assert [each.because for each in left] == [Because.RUNTIME]


def test_through_a_wrapper_that_does_more_nothing_is_replaced() -> None:
    source = IMPORTS + body("self._run('chmod', '777', path)")
    _, left = outcome(source, use(source, "self._run(", "path", via=("svc.driver.D._run",)))
    assert [each.because for each in left] == [Because.WRAPPER]


def test_what_is_given_more_than_the_command_line_stays() -> None:
    """As a method that takes the kind of command first, and gives back a number and text."""
    source = IMPORTS + body("rc, out = self._run('Kind', 'chmod', '777', path, run_as_root=True)")
    _, left = outcome(source, use(source, "self._run(", "path"))
    assert [each.code for each in left] == ["through-wrapper"]


def test_what_gives_back_something_else_stays() -> None:
    source = IMPORTS + body("rc, out = self._run('chmod', '777', path, run_as_root=True)")
    source += "def _run(self, *args, **kwargs):\n    out = utils.execute(*args, **kwargs)\n"
    source += "    return 0, out[0]\n"
    _, left = outcome(source, use(source, "self._run(", "path", through=("svc.driver._run",)))
    assert [each.code for each in left] == ["through-wrapper"]
    assert "gives back something else as well" in left[0].text


@pytest.mark.parametrize(
    "data", [b"print 'x'\n", b"<<<<<<< HEAD\n", b"\xff\xfe\n", b"x = '\0'\n", b"# coding: nope\n"]
)
def test_what_is_no_python_is_not_read(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read("x.py", data)


def test_the_sample_entrypoint_is_what_the_tests_think() -> None:
    assert [param.name for param in CHMOD.params] == ["path"]


def test_arguments_that_are_too_long_for_a_line_are_broken() -> None:
    long = op("chmod", "MODE", "PATH", "TEXT", name="chmod", keywords=("mode", "path", "text"))
    source = IMPORTS + "def f(**kwargs):\n    utils.execute(*cmd, run_as_root=True)\n"
    made = use(
        source,
        "utils.execute(",
        "kwargs['the_mode'] if 'the_mode' in kwargs else None",
        "','.join(kwargs['the_paths_of_it']) if 'the_paths_of_it' in kwargs else None",
        "f'{kwargs}:{kwargs}:a rather long text that nobody would want to read on one line'",
        of=long,
    )
    assert (
        rewritten(source, made)
        .decode()
        .endswith(
            "    svc.privileged.files.chmod(\n"
            "        mode=kwargs.get('the_mode'),\n"
            "        path=(\n"
            "            ','.join(kwargs['the_paths_of_it'])\n"
            "            if 'the_paths_of_it' in kwargs else None),\n"
            "        text=(\n"
            "            f'{kwargs}'\n"
            "            f':{kwargs}'\n"
            "            f':a rather long text that nobody would want to read on one line'))\n"
        )
    )


def test_an_argument_by_name_that_is_too_long_stands_below_its_name() -> None:
    properties = "connection_properties['discovery_auth_username_of_theirs']"
    login = op("chmod", "777", "USERNAME_OF_TARGET", name="x", keywords=("username_of_target",))
    source = IMPORTS + body("utils.execute(*cmd, run_as_root=True)").replace(
        "path)", "connection_properties)"
    )
    text = rewritten(source, use(source, "utils.execute(", properties, of=login)).decode()
    assert f"        username_of_target=(\n            {properties}))\n" in text


def test_a_sum_that_is_too_long_is_broken_at_every_plus() -> None:
    """No line is longer than 79 columns; what is added up first stays first."""
    terms = [
        "','",
        "self.the_name_of_the_administrator",
        "',password='",
        "self.the_password_of_the_administrator",
        "(self.domain or self.another_domain)",
        "(self.first_in_brackets + self.second_in_brackets)",
        "'x' * 2",
    ]
    source = IMPORTS + body("utils.execute(*cmd, run_as_root=True)")
    made = use(source, "utils.execute(", " + ".join(terms))
    text = rewritten(source, made).decode()
    assert text.endswith(
        "    svc.privileged.files.chmod_777(\n"
        "        (\n"
        "            ',' + self.the_name_of_the_administrator + ',password=' +\n"
        "            self.the_password_of_the_administrator +\n"
        "            (self.domain or self.another_domain) +\n"
        "            (self.first_in_brackets + self.second_in_brackets) + 'x' * 2))\n"
    )
    call = ast.parse(text).body[-1].body[-1].value  # type: ignore[attr-defined]
    (argument,) = call.args
    assert ast.unparse(argument) == " + ".join(terms)


TEXT = "encrypt.format=luks,encrypt.key-secret=sec1,encrypt.cipher-alg=%(cipher_alg)s,it's 100%%"


@pytest.mark.parametrize(
    "argument",
    [
        f"{TEXT!r} % cipher_spec",
        f"{TEXT!r} % (cipher_spec,)",
        f"{'x' * 100 + TEXT!r} % (a + b)",
        f"{'x' * 70!r} % (a + b)",
        "self.configuration.quobyte_client_cfg_is_long or self.the_other_one_is_not_short or None",
        "self.configuration.quobyte_client_cfg_is_long and (self.the_other_one_is_not_short or x)",
        "(self.the_other_one_is_not_short or x) and self.configuration.quobyte_client_cfg_is_long",
    ],
)
def test_an_expression_that_is_too_long_keeps_its_meaning_on_shorter_lines(argument: str) -> None:
    source = IMPORTS + body("utils.execute(*cmd, run_as_root=True)")
    source = source.replace("(self, path)", "(self, path, cipher_spec, a, b, x)")
    text = rewritten(source, use(source, "utils.execute(", argument)).decode()
    assert max(map(len, text.splitlines())) <= 79
    call = ast.parse(text).body[-1].body[-1].value  # type: ignore[attr-defined]
    assert ast.dump(call.args[0]) == ast.dump(ast.parse(argument, mode="eval").body)


@pytest.mark.parametrize(
    ("building", "argument", "written"),
    [
        (
            "name = 'a=' + self.x + ',b=' + self.y",
            "f'{self.x},b={self.y}'",
            "self.x + ',b=' + self.y",
        ),
        (
            "name = 'a=%s,b=%s' % (self.x, self.y)",
            "f'{self.x},b={self.y}'",
            "f'{self.x},b={self.y}'",
        ),
        ("name = 'a=' + self.x", "self.x == 'b'", "str(self.x == 'b')"),
        ("name = 'a=' + self.x", "not self.x", "str(not self.x)"),
        ("name = 'a=' + self.x", "self.x / 2", "str(self.x / 2)"),
        ("name = 'a=' + self.x", "1.5", "str(1.5)"),
    ],
)
def test_an_argument_is_the_text_that_it_was(building: str, argument: str, written: str) -> None:
    """Concatenation takes text and nothing else; a truth value is a word as text."""
    source = IMPORTS + body(building, "utils.execute('chmod', '777', name)", "utils.execute2(name)")
    text = rewritten(source, use(source, "utils.execute(", argument, of=prefixed())).decode()
    assert f"svc.privileged.files.chmod({written})" in text


def prefixed() -> Op:
    """An entrypoint whose last word begins with something fixed."""
    made = op("chmod", "777", "NAME", name="chmod")
    return replace(made, words=(Lit("777"), Hole(0, "a=")))


@pytest.mark.parametrize(
    ("lines", "argument"),
    [
        (["where = path", "cmd = ['chmod', '777', where]"], "where"),
        (["where = path", "cmd = ('chmod', '777', where)"], "where"),
        (["where = path", "where += 'x'", "cmd = ['chmod', '777', where]"], "path"),
        (["cmd = ['chmod', '777', self.where]"], "path"),
        (["where = path", "cmd = ['chmod', '777', where]", "cmd += []"], "path"),
        (["where = path", "cmd = ['chmod', mode, where]"], "where"),
    ],
)
def test_the_list_has_the_word_as_a_person_wrote_it(lines: list[str], argument: str) -> None:
    source = IMPORTS + body(*lines, "utils.execute(*cmd, run_as_root=True)", "return cmd, mode")
    source = source.replace("def fix(self, path)", "def fix(self, path, mode)")
    text = rewritten(source, use(source, "utils.execute(", "path")).decode()
    assert f"svc.privileged.files.chmod_777({argument})" in text


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("path if path is not None else None", "path"),
        ("path if path else None", "path if path else None"),
        ("path if path is not None else 'x'", "path if path is not None else 'x'"),
        ("self.x if self.x is not None else None", "self.x if self.x is not None else None"),
    ],
)
def test_a_name_that_may_be_none_leaves_the_word_out_by_itself(argument: str, written: str) -> None:
    """An attribute may be another one the second time; text of None would be a word."""
    optional = replace(CHMOD, params=tuple(replace(each, optional=True) for each in CHMOD.params))
    source = IMPORTS + body("utils.execute(*cmd, run_as_root=True)")
    text = rewritten(source, use(source, "utils.execute(", argument, of=optional)).decode()
    assert f"svc.privileged.files.chmod_777({written})" in text


def test_an_expression_that_is_none_is_not_written() -> None:
    source = IMPORTS + body("utils.execute('chmod', '777', *path)")
    _, left = outcome(source, use(source, "utils.execute(", "path if"))
    assert [each.because for each in left] == [Because.SCOPE]


def test_a_file_that_cannot_be_edited_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python reads it and the editor does not, as with syntax that is newer than that."""

    def refuse(_: bytes) -> object:
        raise cst.ParserSyntaxError("new syntax", lines=["x"], raw_line=1, raw_column=0)

    monkeypatch.setattr("privmigrate.convert.rewrite.cst.parse_module", refuse)
    source = IMPORTS + body("utils.execute('chmod', '777', path)")
    made = use(source, "utils.execute(", "path")
    found = rewrite_callers([made], [], {made.site.span.file: source.encode()}, TARGET)
    assert found.files == ()
    assert [each.because for each in found.left] == [Because.UNREADABLE]
    assert "cannot be edited" in found.left[0].text
