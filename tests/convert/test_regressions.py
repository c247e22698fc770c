"""What people got wrong when they moved calls by hand: none of it can happen here.

Each test is named after what happened. Where the fault would be in the entrypoint itself, the
daemon's check refuses it; where it would be in the caller, the replacement does not have it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from privmigrate.convert.operation import Hole, Option
from privmigrate.convert.replace import Because
from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.execute import PrivilegeDenied, ProcessExecutionError
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import Word
from privmigrate.testing import recording
from privmigrate.testing.equivalence import NotProven, prove
from tests.convert.rewriting import CHMOD, op, outcome, rewritten, use

context = PrivContext(__name__, cfg_section="regressions", capabilities=[])


@context.entrypoint
@command
def mount(kind: Word, source: Word, target: Word) -> ExecResult:
    return run(Executable("mount"), "-t", kind, source, target)


@context.entrypoint
@command
def mkfs(fs: Word, *, label: Word | None = None) -> ExecResult:
    return run(Executable("mkfs"), *(() if label is None else ("-L", label)), fs)


def body(*lines: str) -> str:
    return "\n".join(["def f(self, path, label):", *(f"    {line}" for line in lines), ""])


def test_an_argument_was_forgotten() -> None:
    """`mount` was called with three of its four arguments for two years."""
    mounted = op("mount", "-t", "KIND", "SOURCE", "TARGET", name="mount")
    source = body("execute('mount', '-t', kind, self.a, self.b, run_as_root=True)", "kind = 1")
    text = rewritten(source, use(source, "execute(", "kind", "self.a", "self.b", of=mounted))
    assert b".mount(kind, self.a, self.b)" in text
    with recording() as commands, pytest.raises(TypeError, match="lacks target"):
        mount.local("nfs", "a:/b")  # type: ignore[call-arg]
    assert commands == []


def test_a_handler_caught_an_instance() -> None:
    """`except ProcessExecutionError():` never catches; handlers are not touched at all."""
    source = body(
        "try:",
        "    execute('chmod', '777', path, run_as_root=True)",
        "except processutils.ProcessExecutionError as e:",
        "    LOG.debug(e.stderr)",
    )
    text = rewritten(source, use(source, "execute(", "path")).decode()
    assert text.endswith(
        "    except processutils.ProcessExecutionError as e:\n        LOG.debug(e.stderr)\n"
    )
    from oslo_concurrency import processutils

    def fail(_: object) -> ExecResult:
        return ExecResult(1, b"", b"")

    with recording(fail), pytest.raises(processutils.ProcessExecutionError):
        mount.local("nfs", "a", "b")


def test_a_semantic_of_another_executor_was_dropped() -> None:
    """`trycmd` returns what `execute` raises: it is no `execute`, and stays."""
    source = body("utils.trycmd('chmod', '777', path, run_as_root=True)")
    change, left = outcome(source, use(source, "utils.trycmd(", "path"))
    assert change is None
    assert [each.because for each in left] == [Because.OPTIONS]


def test_a_label_was_lost() -> None:
    """`mkfs(fs, path, label)` passed `label=None` on."""
    labelled = op("mkfs", "FS", "LABEL", name="mkfs", keywords=("label",))
    fs, label = labelled.params
    labelled = replace(
        labelled,
        params=(fs, replace(label, optional=True)),
        words=(Option(1, (Hole(1),)), Hole(0)),
    )
    source = body("cmd = ['mkfs']", "cmd += ['-L', label]", "cmd.append(path)")
    source += "    execute(*cmd, run_as_root=True)\n"
    text = rewritten(source, use(source, "execute(", "path", "label", of=labelled)).decode()
    assert "mkfs(path, label=str(label))" in text
    guarded = source.replace("cmd += ['-L', label]", "cmd += ['-L', label] if label else []")
    made = use(guarded, "execute(", "path", "label if label else None", of=labelled)
    assert "label=label if label else None)" in rewritten(guarded, made).decode()
    with pytest.raises(NotProven, match="'-L', 'None'"):
        prove(
            lambda fs, label, execute: execute("mkfs", "-L", label, fs, run_as_root=True),
            lambda fs, label: mkfs(fs, label=label),
        )


def test_arguments_changed_places() -> None:
    """As in idmapshift, for nine years."""
    with pytest.raises(NotProven, match="no values were found"):
        prove(
            lambda a, b, execute: execute("mount", "-t", "nfs", a, b, run_as_root=True),
            lambda a, b: mount("nfs", b, a),
        )
    two = op("mount", "-t", "nfs", "SOURCE", "TARGET", name="mount")
    source = body("execute('mount', '-t', 'nfs', self.x(), self.y(), run_as_root=True)")
    text = rewritten(source, use(source, "execute(", "self.x()", "self.y()", of=two))
    assert b".mount(self.x(), self.y())" in text


def test_one_of_several_calls_was_missed() -> None:
    source = body(
        "execute('chmod', '777', path, run_as_root=True)",
        "self.execute('chmod', '777', path, run_as_root=True)",
    )
    uses = [use(source, "execute(", "path"), use(source, "self.execute(", "path")]
    assert b"execute(" not in rewritten(source, *uses)


def test_an_object_was_passed_for_a_path() -> None:
    """What is no word is refused, by name, and nothing runs."""
    with recording() as commands, pytest.raises(PrivilegeDenied, match="source"):
        mount.local("nfs", ["a"], "b")  # type: ignore[arg-type]
    assert commands == []


def test_conditional_root_became_always_root() -> None:
    """`touch` in cinder; and its caller's handler went with it."""
    source = body(
        "try:",
        "    execute('chmod', '777', path, run_as_root=self._execute_as_root)",
        "except OSError:",
        "    pass",
    )
    made = use(source, "execute(", "path", condition="self._execute_as_root")
    text = rewritten(source, made).decode()
    assert ".policy(\n            run_as_root=self._execute_as_root)(path)" in text
    assert "except OSError:\n        pass" in text


def test_a_text_was_split_into_characters() -> None:
    """`cmd += client_id` adds the characters of a text: the proof of such a call fails."""

    def before(text: str, execute: Callable[..., object]) -> object:
        cmd = ["mount", "-t", "nfs", "a"]
        cmd += text
        return execute(*cmd, run_as_root=True)

    with pytest.raises(NotProven, match="no values were found"):
        prove(before, lambda text: mount("nfs", "a", text), samples={"text": ["two"]})


def test_the_error_was_no_runtime_error_any_more() -> None:
    """Neutron's callers catch RuntimeError, also where neutron-lib is not loaded yet."""

    def fail(_: object) -> ExecResult:
        return ExecResult(2, b"", b"File exists")

    with recording(fail), pytest.raises(RuntimeError, match="File exists") as caught:
        mount.neutron(run_as_root=False)("nfs", "a", "b")
    assert getattr(caught.value, "returncode", None) == 2
    with recording(fail), pytest.raises(ProcessExecutionError):
        mount.local("nfs", "a", "b")


def test_numbers_were_passed_as_words() -> None:
    """`vf_num` is a number, and executors take `str` of each word."""
    prove(
        lambda n, execute: execute("mount", "-t", n, "a", "b", run_as_root=True),
        lambda n: mount(n, "a", "b"),
        samples={"n": [7]},
    )


def test_what_a_comparison_says_was_a_word() -> None:
    """`True` and `False` are words for some commands, and a truth value is none for us."""
    source = body("execute('chmod', '777', self.mode == 'x', run_as_root=True)")
    text = rewritten(source, use(source, "execute(", "self.mode == 'x'", of=CHMOD))
    assert b"chmod_777(str(self.mode == 'x'))" in text


def test_a_missing_program_was_another_error() -> None:
    """Under rootwrap it was exit code 96, and handlers look at exit codes."""
    missing = Executable("no-such-program", dirs=("/nowhere",))

    @context.entrypoint
    @command
    def nothing() -> ExecResult:
        return run(missing)

    with pytest.raises(ProcessExecutionError) as caught:
        nothing.local()
    assert caught.value.exit_code == 96


def test_importing_a_rewritten_module_needs_no_privilege(tmp_path: Path) -> None:
    """The import that is added starts nothing and reads no configuration."""
    (tmp_path / "made.py").write_text(
        "from privmigrate.privsep import ExecResult, Executable, command, run\n"
        "from privmigrate.privsep import priv_context\n"
        "c = priv_context.PrivContext('made', cfg_section='made', capabilities=[])\n"
        "@c.entrypoint\n@command\ndef f() -> ExecResult:\n    return run(Executable('/bin/true'))\n"
    )
    code = "import made, sys; assert 'oslo_config' not in sys.modules; assert not made.c.channel"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
