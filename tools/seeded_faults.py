"""Take guards away, one at a time, and see that a named test notices.

Usage: python -m tools.seeded_faults [NAME...]. Each fault replaces one piece of source, which must
occur exactly once, in a copy of the project, and runs the tests that are named for it: they have
to pass without the fault and fail with it. A guard whose absence nobody notices is no guard.
tests/test_seeded_faults.py sees, without running any, that each still fits its source.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.modules import PROJECT

COPIED: Final = ("privmigrate", "tests", "tools", "filters", "docs", "pyproject.toml", "README.md")
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
TESTS_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """A guard that is taken away: `old` becomes `new` in `file`, and `test` has to fail."""

    name: str
    file: str
    old: str
    new: str
    test: str

    def seeded(self, source: str) -> str:
        """The source without the guard; ValueError where it is not there exactly once."""
        if (found := source.count(self.old)) != 1:
            raise ValueError(f"the text to replace occurs {found} times in {self.file}")
        return source.replace(self.old, self.new)


FAULTS: Final = (
    Fault(
        "a long way through a pattern is built to its end",
        "argv/linear.py",
        "    if len(ways) > MAX_WAYS or any(len(way) > MAX_TRIES for way in ways):\n",
        "    if len(ways) > MAX_WAYS:\n",
        "tests/argv/test_regex.py",
    ),
    Fault(
        "a value in a shell's text of any characters",
        "convert/shelltext.py",
        "            allowed &= _PATH_LIKE\n",
        "            pass\n",
        "tests/convert/test_shelltext.py",
    ),
    Fault(
        "a value in a shell's text that is what is run",
        "convert/shelltext.py",
        '            raise _NotFollowed("it is what is run")\n',
        "            pass\n",
        "tests/convert/test_shelltext.py",
    ),
    Fault(
        "a call with a value in the program of sed",
        "callsites/shapes.py",
        "            tuple(_pieces(template.segments)), quoted=True\n",
        "            ()\n",
        "tests/convert/test_shelltext.py",
    ),
    Fault(
        "a filter that the shim leaves unlimited, unsaid",
        "audit/rules/unlimited_filters.py",
        "found is None or (why == UNKNOWN and every() <= found)",
        "found is None",
        "tests/audit/test_rules.py",
    ),
    Fault(
        "a call that is given more than a command line, replaced",
        "convert/replace.py",
        "        if first.value not in {use.op.command, *commands, *prefixes, *_IN_FRONT}:\n",
        "        if False:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "a way through a function that gives back something else",
        "convert/replace.py",
        "            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):\n",
        "            if False:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "a call that may go to another host, replaced",
        "convert/replace.py",
        "        if reason in _NEVER and not (use.as_built and reason in AS_BUILT):\n",
        "        if reason in ():\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "arguments evaluated in another order",
        "convert/effects.py",
        "            if places[earlier] > place and not commute(after[earlier], after[later]):\n",
        "            if False:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "a name that means something else inside an expression",
        "convert/replace.py",
        "    if moved & within:\n",
        "    if False:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "an option that no entrypoint has, dropped",
        "convert/replace.py",
        "        case name if name not in ABOUT_ROOT:\n",
        "        case name if name is None:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "None that was a word and is left out",
        "convert/arguments.py",
        "            node = _str(node)  # None would leave it out, and was a word before\n",
        "            pass\n",
        "tests/convert/test_regressions.py",
    ),
    Fault(
        "a list removed that something else reads",
        "convert/tidy.py",
        "            if not names & read:\n",
        "            if True:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "an import removed that a test patches",
        "convert/callers.py",
        "        if other is None:\n",
        "        if True:\n",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "a source that changed meanwhile, overwritten",
        "convert/lock.py",
        "            if path.read_bytes() != before:\n",
        "            if False:\n",
        "tests/convert/test_lock.py",
    ),
    Fault(
        "sources that were not put back",
        "convert/lock.py",
        "            _stage_beside(path, before).replace(path)\n",
        "            pass\n",
        "tests/convert/test_lock.py",
    ),
    Fault(
        "an assertion moved though a call that stays may be meant",
        "convert/retest.py",
        "        if any(may_run(site, call) for site in plan.staying)\n",
        "        if False\n",
        "tests/convert/test_retest.py",
    ),
    Fault(
        "a person's word for one class, taken for every class",
        "callsites/declared.py",
        "            if declared not in above:\n                continue\n",
        "",
        "tests/callsites/test_declared.py",
    ),
    Fault(
        "a person's word for something that nobody passes in",
        "callsites/declared.py",
        "        if self._is_passed_in(owner, last):\n",
        "        if True:\n",
        "tests/callsites/test_declared.py",
    ),
    Fault(
        "a person's word that was taken back, not told",
        "convert/replaced.py",
        "            if name not in said:\n",
        "            if False:\n",
        "tests/cli/test_declared.py",
    ),
    Fault(
        "a list that an error may lead to a reader of, removed",
        "convert/tidy.py",
        "                return False  # an error may lead there\n",
        "                continue\n",
        "tests/convert/test_style.py",
    ),
    Fault(
        "a test forwarded though its call cannot be made again",
        "convert/retest.py",
        "        if spans & plan.forwarded.unknown:\n",
        "        if False:\n",
        "tests/convert/test_forward.py",
    ),
    Fault(
        "tests that execute for real, forwarded",
        "convert/testbases.py",
        "            if any(_ROOT.search(self._texts[each]) for each in names)\n",
        "            if False\n",
        "tests/convert/test_forward.py",
    ),
    Fault(
        "an entrypoint of another package, forwarded",
        "testing/forward.py",
        '        if not f"{entrypoint.__module__}.".startswith(f"{self._package}."):\n',
        "        if False:\n",
        "tests/testing/test_forward.py",
    ),
    Fault(
        "a proof that does not compare as whom a command runs",
        "testing/evaluate.py",
        "    return replace(old, argv=()) == replace(new, argv=()) and "
        "same_argv(old.argv, new.argv)\n",
        "    return same_argv(old.argv, new.argv)\n",
        "tests/testing/test_equivalence.py",
    ),
    Fault(
        "conditional root that always asks the daemon",
        "privsep/entrypoint.py",
        "            if run_as_root and self._context.client_mode:\n",
        "            if self._context.client_mode:\n",
        "tests/privsep/test_neutron.py",
    ),
    Fault(
        "a value at a call that was another one where it was read",
        "callsites/motion.py",
        "        return all(\n",
        "        return True or all(\n",
        "tests/callsites/test_movable.py",
    ),
    Fault(
        "a call that would be made after others that it came before",
        "callsites/motion.py",
        "            if hole.stamp.after != self.floor:\n",
        "            if False:\n",
        "tests/callsites/test_movable.py",
    ),
    Fault(
        "a statement that does more than build a command line",
        "callsites/building.py",
        "for each in statements if _has_other_effect(each, motion)}",
        "for each in statements if False}",
        "tests/callsites/test_movable.py",
    ),
    Fault(
        "a constant that is assigned elsewhere",
        "callsites/constants.py",
        "        return Reason.REASSIGNED if in_class or changed else None\n",
        "        return constant[0]\n",
        "tests/callsites/test_traps.py",
    ),
    Fault(
        "a wrapper that is used in a way that is not followed",
        "callsites/mentions.py",
        "            if not _is_known(analysis, module, node, function, calls):\n",
        "            if False:\n",
        "tests/callsites/test_given.py",
    ),
    Fault(
        "a wrapper that another method overrides",
        "callsites/mentions.py",
        "        if (other := each.methods.get(name)) is not None and other is not function:\n",
        "        if (other := each.methods.get(name)) is not None and False:\n",
        "tests/callsites/test_given.py",
    ),
    Fault(
        "a caller of a wrapper whose words come from elsewhere",
        "callsites/given.py",
        "    if doubts or not site.resolved:\n",
        "    if False:\n",
        "tests/callsites/test_given.py",
    ),
    Fault(
        "a list with something else in front of its command than variables",
        "convert/as_built.py",
        "        and len(words) == len(template.environment) > 0\n"
        "        and names == [name for name, _ in template.environment]\n",
        "",
        "tests/convert/test_as_built.py",
    ),
    Fault(
        "a combination of variables that no filter allows",
        "convert/as_built.py",
        "    if not longest or wanted != set(rows):\n",
        "    if not longest:\n",
        "tests/convert/test_as_built.py",
    ),
    Fault(
        "a limit of a command's time that is none",
        "privsep/running.py",
        "    if not 0 < seconds <= MAX_SECONDS:  # neither is NaN\n",
        "    if False:\n",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "a command that does not end when its time is up",
        "privsep/running.py",
        "            _kill(self._process)\n            return\n",
        "            return\n",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "a timeout that means something else to its executor",
        "convert/replace.py",
        " - (frozenset() if site.timed else TIMED_OPTIONS)",
        "",
        "tests/convert/test_rewrite.py",
    ),
    Fault(
        "a call that may go to another host",
        "callsites/calls.py",
        "            yield Reason.REMOTE\n",
        "            yield from ()\n",
        "tests/callsites/test_traps.py",
    ),
    Fault(
        "a list of words that is none of its command lines",
        "privsep/lines.py",
        "        raise Refused(f\"is none of its command lines: {'; or '.join(reasons)}\")\n",
        "        return words\n",
        "tests/privsep/test_lines.py",
    ),
    Fault(
        "a call with other variables than its filter has",
        "convert/link.py",
        "if _same_variables(rule, environment) and _is_called(",
        "if _is_called(",
        "tests/convert/test_link.py",
    ),
    Fault(
        "a word of ip that executes another command",
        "convert/admit.py",
        "if before is not None and before not in _ENTERS:",
        "if spec:",
        "tests/convert/test_link.py",
    ),
    Fault(
        "two calls that differ in two places as one",
        "argv/unify.py",
        "    return len(sides) == 1 and _Side.NEITHER not in sides\n",
        "    return bool(sides)\n",
        "tests/argv/test_template.py",
    ),
    Fault(
        "a bare value of a call that is an option",
        "convert/shape.py",
        "                return replace(OPERAND, empty=not suffix)\n",
        "                return FREE\n",
        "tests/convert/test_calls.py",
    ),
    Fault(
        "a value that leads out of the folder that its call fixes",
        "convert/shape.py",
        "            return BELOW if below else FREE\n",
        "            return FREE\n",
        "tests/convert/test_calls.py",
    ),
    Fault(
        "a call that may be more than its templates say",
        "convert/calls.py",
        "        or bool(INCOMPLETE & set(site.reasons))\n",
        "",
        "tests/convert/test_link.py",
    ),
    Fault(
        "a path that only begins like its folder",
        "argv/word.py",
        'real.startswith(base if base.endswith("/") else f"{base}/")',
        "real.startswith(base)",
        "tests/argv",
    ),
    Fault(
        "symlinks are not followed before a path is compared",
        "argv/word.py",
        "    real = _real_path(path)\n",
        '    real = "/" + "/".join(path.split("/")[1:])\n',
        "tests/argv",
    ),
    Fault(
        "NUL in a word",
        "argv/word.py",
        '    if "\\0" in text:\n        return "contains NUL"\n',
        "",
        "tests/argv",
    ),
    Fault(
        "an operand that is read as an option",
        "argv/word.py",
        'if spec.operand and text[:1] == "-":',
        "if False:",
        "tests/argv",
    ),
    Fault(
        "digits of other scripts",
        "argv/word.py",
        "            not text.isascii()\n            or not text.isdigit()",
        "            not text.isdigit()",
        "tests/argv",
    ),
    Fault(
        "True passes for an integer",
        "argv/check.py",
        "    if not isinstance(value, int) or isinstance(value, bool):\n        raise",
        "    if not isinstance(value, int):\n        raise",
        "tests/argv",
    ),
    Fault(
        "1 passes for a literal True",
        "argv/check.py",
        "            return known[type(exact), exact]\n",
        "            return {value: value for _, value in known}[exact]\n",
        "tests/argv",
    ),
    Fault(
        "a parameter that cannot be checked goes unchecked",
        "argv/check.py",
        "    if checker is None:\n        raise TypeError(",
        "    if checker is None:\n        return lambda value: value\n        raise TypeError(",
        "tests/argv",
    ),
    Fault(
        "more items than a tuple has",
        "argv/check.py",
        '        if len(items) != len(checks):\n            raise Refused(f"has {len(items)} items',
        '        if len(items) < 0:\n            raise Refused(f"has {len(items)} items',
        "tests/argv",
    ),
    Fault(
        "the state after the drop is not compared",
        "privsep/daemon/drop.py",
        "        if (why := step.proof(plan, now)) is not None:",
        "        if (why := None) is not None:",
        "tests/root/test_drop.py",
    ),
    Fault(
        "a daemon gives privilege up while other threads run",
        "privsep/daemon/profile.py",
        "    if start.threads != 1:",
        "    if start.threads < 1:",
        "tests/root/test_drop.py",
    ),
    Fault(
        "a daemon serves with fewer capabilities than its context asks for",
        "privsep/daemon/profile.py",
        "    if missing := kept - start.permitted:",
        "    if missing := kept - kept:",
        "tests/root/test_drop.py",
    ),
    Fault(
        "securebits that the starter set stay",
        "privsep/daemon/drop.py",
        "SecureBits(0)) & ~_UNWANTED_BITS | _NOROOT",
        "SecureBits(0)) | _NOROOT",
        "tests/root/test_drop.py",
    ),
    Fault(
        "the bounding set is left as it was, and nobody looks",
        "privsep/daemon/drop.py",
        '    return _differs("the bounding set", now.bounding, plan.kept & plan.start.bounding)',
        "    return None",
        "tests/root/test_drop.py",
    ),
    Fault(
        "a process of another program is signalled",
        "privsep/natives/kill.py",
        "        if not any(_is(program, wanted) for wanted in self.programs):",
        "        if not program:",
        "tests/privsep/test_natives.py",
    ),
    Fault(
        "a signal by the number instead of by the pidfd",
        "privsep/natives/kill.py",
        "signals.pidfd_send_signal(pidfd, self.signal)",
        "os.kill(self.pid, self.signal)",
        "tests/privsep/test_natives.py",
    ),
    Fault(
        "links are followed below a folder that was checked",
        "privsep/natives/cat.py",
        "os.path.relpath(self.path, self.within), flags)",
        "os.path.relpath(self.path, self.within), flags, links=True)",
        "tests/privsep/test_natives.py",
    ),
    Fault(
        "a native acts with all that the daemon has",
        "privsep/execute.py",
        "    with acting_with(allowed):\n",
        "    with acting_with(CapabilitySet((1 << 64) - 1)):\n",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "a thread that stays narrowed after a native",
        "linux/capabilities.py",
        "        _write_all(held)  # INV-14",
        "        pass  # INV-14",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "a switch of capabilities that nobody looks at",
        "linux/capabilities.py",
        "    if read_sets() != sets:\n",
        "    if False:\n",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "a path that lies in a folder is reached through links",
        "privsep/natives/base.py",
        'handle = open_beneath(folder, above or ".", flags)',
        'handle = open_beneath(folder, above or ".", flags, links=True)'
        " if above in {'', '.'} else os.open(above, flags, dir_fd=folder)",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "the last name of a path that lies in a folder may be a link",
        "privsep/natives/base.py",
        "        if within is not None and stat.S_ISLNK(os.fstat(handle).st_mode):\n",
        "        if False:\n",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "tee follows a link that was put there after the check",
        "privsep/natives/tee.py",
        "        flags |= 0 if self.within is None else os.O_NOFOLLOW\n",
        "",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "truncate follows a link that was put there after the check",
        "privsep/natives/truncate.py",
        "nofollow = 0 if self.within is None else os.O_NOFOLLOW",
        "nofollow = 0",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "a tree that is left by its links",
        "privsep/tree.py",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "chown of what a link in a tree leads to",
        "privsep/natives/chown.py",
        "dir_fd=folder, follow_symlinks=False)",
        "dir_fd=folder)",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "a walk that goes up to wherever its folder was moved",
        "privsep/tree.py",
        "    if _identity(up) != identity:\n",
        "    if False:\n",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "a folder that loses its set-group-ID bit",
        "privsep/modes.py",
        "left_alone = _SET_IDS & ~change.named if folder else 0",
        "left_alone = 0",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "new files under the umask of the process",
        "privsep/natives/base.py",
        "        return mode & ~UMASK\n",
        "        return mode\n",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "a program of a tool's name that is not the tool",
        "privsep/natives/__init__.py",
        "find(tool) if folder in _FOLDERS else None",
        "find(tool)",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "a relative path below the folder of whoever asks",
        "privsep/natives/__init__.py",
        'and os.getcwd() != "/"',
        'and os.getcwd() == ""',
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "what no native knows below a checked folder is executed",
        "privsep/natives/__init__.py",
        "        if within is None or _is_missing(executable):\n",
        "        if True:\n",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "the mode of a new folder is given to a file that took its place",
        "privsep/natives/mkdir.py",
        "    if not stat.S_ISDIR(has):\n",
        "    if False:\n",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "a package of calls that could not be read",
        "cli/convert.py",
        "    if findings.errors:\n",
        "    if False:\n",
        "tests/cli/test_convert_calls.py",
    ),
    Fault(
        "a file that is exchanged for a folder of proofs",
        "convert/lock.py",
        "    if folder.exists() and not folder.is_dir():\n",
        "    if False:\n",
        "tests/cli/test_rewrite.py",
    ),
    Fault(
        "a person's conftest.py that is written over",
        "cli/rewrite.py",
        "        if not is_proof(name, text):\n",
        "        if False:\n",
        "tests/cli/test_rewrite.py",
    ),
    Fault(
        "control characters of filters on the terminal",
        "convert/report.py",
        'text = printable("  ".join(padded).rstrip())',
        'text = "  ".join(padded).rstrip()',
        "tests/cli/test_convert.py::test_nothing_of_a_file_controls_the_terminal",
    ),
    Fault(
        "what a native cannot do below a checked folder is executed",
        "privsep/natives/__init__.py",
        "        if within is not None:\n            raise Refused(",
        "        if False:\n            raise Refused(",
        "tests/privsep/test_native_files.py",
    ),
    Fault(
        "natives that write to the memory of the daemon",
        "privsep/natives/base.py",
        "    if is_of_process(handle):\n",
        "    if False:\n",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "self is the daemon",
        "privsep/natives/__init__.py",
        "    if any(_OF_PROCESS.match(path) for path in native.paths):\n",
        "    if False:\n",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "natives of a call that was given up",
        "privsep/natives/__init__.py",
        "    go_on()\n",
        "",
        "tests/privsep/test_native_calls.py",
    ),
    Fault(
        "settings of the wrong network namespace",
        "privsep/natives/__init__.py",
        "return native.perform() if under is None else _inside(native, under)",
        "return native.perform()",
        "tests/root/test_natives.py",
    ),
    Fault(
        "a prefix without fields is left out",
        "privsep/execute.py",
        "front = () if under is None else under.words()",
        "front = under.words() if under else ()",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "commands get the whole environment of the daemon",
        "privsep/execute.py",
        "        if name in _KEPT or name.startswith(_KEPT_PREFIX)\n",
        "",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "any combination of environment variables",
        "privsep/execute.py",
        "    if combinations and set(given) not in map(set, combinations):",
        "    if combinations and not isinstance(given, dict):",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "a command follows in a call that was cancelled",
        "privsep/running.py",
        '            if self.cancelled:\n                raise Refused("the call was cancelled")\n',
        "",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "a command gets all capabilities of its context",
        "privsep/commands.py",
        "        with limited_to(self.capabilities):",
        "        with limited_to(None):",
        "tests/privsep/test_command.py",
    ),
    Fault(
        "arguments beyond the named ones go unchecked",
        "privsep/commands.py",
        '                _check(f"argument {number}", rest, value)',
        "                value if number else rest",
        "tests/privsep/test_command.py",
    ),
    Fault(
        "digits are narrowed inside a negative assertion, which widens",
        "argv/syntax.py",
        "asserted=asserted and not negative",
        "asserted=asserted",
        "tests/property/test_regex.py",
    ),
    Fault(
        "a pattern's case is folded beyond ASCII",
        "argv/syntax.py",
        "        kept = flags & _CHARACTER_FLAGS if flags & re.IGNORECASE else 0\n        return",
        "        kept = flags & re.IGNORECASE\n        return",
        "tests/property/test_regex.py",
    ),
    Fault(
        "re executes what may take quadratic time",
        "argv/linear.py",
        "            if unbounded:\n                return False\n",
        "",
        "tests/argv",
    ),
    Fault(
        "conditions in a pattern hold everywhere",
        "argv/automaton.py",
        "(state.condition is not None and not truth >> state.condition & 1)",
        "(state.condition is not None and truth < 0)",
        "tests/property/test_regex.py",
    ),
    Fault(
        "a path pattern leads out of its folder",
        "argv/word.py",
        '        if spec.no_dotdot and (rest.startswith("..") or "/.." in rest):',
        '        if spec.no_dotdot and rest.startswith(".."):',
        "tests/argv",
    ),
    Fault(
        "a module is imported for a call because it is below the prefix",
        "privsep/daemon/load.py",
        '        if code is None or not _may_define(code, function.partition(".")[0]):',
        "        if code is None:",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "a module is imported for a call that only begins like the prefix",
        "privsep/daemon/load.py",
        'return module == prefix or module.startswith(prefix + ".")',
        "return module.startswith(prefix)",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "the table of entrypoints stays open",
        "privsep/daemon/load.py",
        "        self._seal(sealed=True)\n\n    def find",
        "\n    def find",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "an entrypoint may be outside of its context's package",
        "privsep/context.py",
        'return module == self.prefix or module.startswith(self.prefix + ".")',
        "return module.startswith(self.prefix)",
        "tests/privsep/test_context.py",
    ),
    Fault(
        "a configuration that others can change",
        "privsep/daemon/main.py",
        "        _judge(paths)\n",
        "",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "memory accounting counts as a need",
        "observe/sources/base.py",
        "    return any(_NOISE in frame for frame in stack)",
        "    return len(stack) < 0",
        "tests/observe/test_sources.py",
    ),
    Fault(
        "what a command may do in a namespace of its own counts as a need",
        "observe/candidate.py",
        "        elif not first or check.namespace in first:",
        "        elif everything:",
        "tests/observe/test_sources.py",
    ),
    Fault(
        "a stack is taken for that of another process",
        "observe/sources/base.py",
        "            open_stack = last.get(pid)",
        "            open_stack = events[-1]",
        "tests/observe/test_sources.py",
    ),
    Fault(
        "a source that sees nothing is believed",
        "observe/watch.py",
        "    if _ASKED_FOR not in watch.end(pid).granted:\n",
        "    if watch.end(pid).lost < 0:\n",
        "tests/root/test_learn.py",
    ),
    Fault(
        "the declared effect is not compared",
        "learn/experiment.py",
        "            and behaviour.effect == reference.effect\n",
        "",
        "tests/root/test_learn.py",
    ),
    Fault(
        "the instance of tracing stays",
        "observe/tracefs.py",
        "                self._tracefs.remove(self._name)\n",
        "                pass\n",
        "tests/root/test_learn.py",
    ),
    Fault(
        "a command is run again unasked where nobody can be asked",
        "cli/learn.py",
        "    if not sys.stdin.isatty():\n        raise InputError(",
        "    if not sys.stdin.isatty():\n        return 'unasked'\n        raise InputError(",
        "tests/cli/test_learn.py",
    ),
    Fault(
        "what was only observed counts as evidence",
        "privsep/knowledge/learned.py",
        '        if _text(entry, "root_status", place) == VERIFIED:',
        '        if _text(entry, "root_status", place):',
        "tests/learn/test_table.py",
    ),
    Fault(
        "a person's rows are written anew",
        "learn/table.py",
        "    return own, list(entries_of(data, path))",
        "    return _HEAD, list(entries_of(data, path))",
        "tests/learn/test_table.py",
    ),
    Fault(
        "an ignore without a reason ignores",
        "audit/accepted.py",
        "        if ignored.reason:\n",
        "        if True:\n",
        "tests/audit/test_accepted.py",
    ),
    Fault(
        "a baseline hides every finding of a kind",
        "audit/accepted.py",
        "            open_ones[finding.fingerprint] -= 1\n",
        "",
        "tests/audit/test_accepted.py",
    ),
    Fault(
        "what an audit cannot read is passed over",
        "audit/gather.py",
        '            self.missed(Span(path), f"cannot be read: {reason}")\n',
        "",
        "tests/audit/test_tree.py",
    ),
    Fault(
        "links lead out of an image",
        "audit/tree.py",
        '                if node.target.startswith("/"):\n                    here.clear()\n',
        "",
        "tests/audit/test_tree.py",
    ),
    Fault(
        "a folder that a group may write to",
        "audit/evidence.py",
        "if node.mode & 0o020 and node.gid != 0:",
        "if False:",
        "tests/audit/test_rules.py",
    ),
    Fault(
        "a page that shows names as they are",
        "audit/page.py",
        "    return escape(printable(text))",
        "    return printable(text)",
        "tests/cli/test_audit.py",
    ),
    Fault(
        "programs are looked up in a folder of whoever starts the service",
        "privsep/execute.py",
        '                    if folder.startswith("/"):',
        "                    if folder:",
        "tests/privsep/test_execute.py",
    ),
    Fault(
        "a value of a call ends the name of a sysctl, or leads out of it",
        "convert/shape.py",
        '        elif command == "sysctl" and named and before:\n',
        "        elif False:\n",
        "tests/convert/test_narrow_words.py",
    ),
    Fault(
        "a client leaves out the namespace that every call has",
        "privsep/commands.py",
        '        if self.only_under and kwargs.get("under") is None:\n',
        "        if False:\n",
        "tests/privsep/test_neutron.py",
    ),
    Fault(
        "what a link of the sources names is rewritten too",
        "cli/rewrite.py",
        "        if any(root == real or root in real.parents for root in roots):\n",
        "        if True:\n",
        "tests/cli/test_hostile_sources.py",
    ),
    Fault(
        "names of a lock are printed as code, whatever they are",
        "convert/lock.py",
        "    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):\n",
        "    if not isinstance(name, str):\n",
        "tests/convert/test_lock.py",
    ),
    Fault(
        "an empty set for a command that no set bounds",
        "convert/place.py",
        "    if evidence and not evidence.bounded:",
        "    if evidence and not evidence.rows:",
        "tests/convert/test_unbounded.py",
    ),
    Fault(
        "learn makes up the variables that a log has not",
        "learn/log.py",
        "        case Allowed() if len(asked) > len(seen.argv):",
        "        case Allowed() if len(asked) < 0:",
        "tests/learn/test_log.py",
    ),
    Fault(
        "what stands behind a value in a word is not looked at",
        "audit/rules/option_word.py",
        'slot.takes("--config=x") and slot.takes("-x")',
        'slot.accepts("--config=x") and slot.accepts("-x")',
        "tests/audit/test_generated.py",
    ),
    Fault(
        "a score that capabilities do not bound",
        "audit/power.py",
        "    if runnable.limit is None or gain.by_uid or runnable.program in _OF_OWNERS:\n",
        "    if True:\n",
        "tests/audit/test_score.py",
    ),
    Fault(
        "the size of a message in parts is not judged",
        "privsep/messages.py",
        "    if lengths[0] > limits.packed:\n",
        "    if lengths[0] > 2**62:\n",
        "tests/privsep/test_messages.py",
    ),
    Fault(
        "arrays and maps of a large message are not counted",
        "privsep/messages.py",
        "        if self.containers > self.limits.containers:\n",
        "        if self.containers > 2**62:\n",
        "tests/privsep/test_messages.py",
    ),
    Fault(
        "timestamps pass as values",
        "privsep/messages.py",
        "        elif isinstance(value, msgpack.Timestamp):\n",
        "        elif isinstance(value, _Parts):\n",
        "tests/privsep/test_messages.py",
    ),
    Fault(
        "what counts like an array passes as a message",
        "privsep/messages.py",
        "    if type(message) is tuple and message:\n",
        "    if message:\n",
        "tests/privsep/test_messages.py",
    ),
    Fault(
        "any socket can be attached",
        "privsep/daemon/answer_control.py",
        "    if kind != (socket.AF_UNIX, socket.SOCK_SEQPACKET):\n",
        "    if not kind:\n",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "a client may have any number of connections",
        "privsep/daemon/serve.py",
        "        if len(self._connections) >= CONNECTIONS:\n",
        "        if len(self._connections) >= 2**62:\n",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "one that is served may ask for anything that is in the table",
        "privsep/daemon/serve.py",
        "        row = connection.rows.get(message[0])\n",
        "        row = {k: r for rows in ROWS.values() for k, r in rows.items()}.get(message[0])\n",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "a worker that waits for the rest of a message counts as idle",
        "privsep/daemon/serve.py",
        "        self.running[key] = (connection, -1, turn)\n",
        "",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "what the table does not hold yet is registered by whoever decorates",
        "privsep/context.py",
        "        if not self._sealed:\n",
        "        if True:\n",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "sys.exit() ends a worker",
        "privsep/daemon/answer_call.py",
        "        except BaseException as error:",
        "        except Exception as error:",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "a call that was given up goes on",
        "privsep/daemon/serve.py",
        "                turn.cancellation.cancel()\n",
        "                pass\n",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "workers of calls that were given up are not replaced",
        "privsep/daemon/serve.py",
        "                        self.workers -= self._abandoned <= ABANDONED\n",
        "",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "an error that would end the service is raised in it",
        "privsep/client/answers.py",
        "    if not isinstance(found, type) or not issubclass(found, Exception):\n",
        "    if not isinstance(found, type) or not issubclass(found, BaseException):\n",
        "tests/privsep/test_death.py",
    ),
    Fault(
        "an error's name may be of anything that can be called",
        "privsep/client/answers.py",
        "    if not isinstance(found, type) or not issubclass(found, Exception):\n",
        "    if not callable(found):\n",
        "tests/privsep/test_death.py",
    ),
    Fault(
        "a connection is used again after a timeout",
        "privsep/client/channel.py",
        "            self._drop(connection)\n            raise\n",
        "            self._idle.append(connection)\n            raise\n",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "a timeout begins anew with every record",
        "privsep/client/connection.py",
        "            left = deadline - time.monotonic()\n",
        "            left = 0.2\n",
        "tests/privsep/test_death.py",
    ),
    Fault(
        "a daemon's death is always retried",
        "privsep/client/connection.py",
        '        return ChannelClosed("the privsep daemon died during the call")\n',
        '        return ChannelClosed("died", may_have_run=False)\n',
        "tests/privsep/test_death.py",
    ),
    Fault(
        "what uid 0 owns counts for nothing",
        "audit/power.py",
        "    if runnable.limit is None or gain.by_uid or runnable.program in _OF_OWNERS:\n",
        "    if runnable.limit is None:\n",
        "tests/audit/test_score.py",
    ),
    Fault(
        "an error that cannot be sent",
        "privsep/daemon/answer_call.py",
        "    except (TypeError, ValueError, OverflowError) as reason:\n",
        "    except RecursionError as reason:\n",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "half of a character in a log record",
        "privsep/daemon/logs.py",
        "            packed[name] = encodable(value)\n",
        "            packed[name] = value\n",
        "tests/privsep/test_logs.py",
    ),
    Fault(
        "files in a folder of configuration are not judged",
        "privsep/daemon/main.py",
        "        _judge(_inside(folders))\n",
        "",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "a path of a configuration is judged as another than it is read",
        "privsep/daemon/main.py",
        "            options.load(files, folders)\n",
        "            options.load(arguments.files, arguments.folders)\n",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "the environment is configuration",
        "privsep/options.py",
        "            use_env=False,\n",
        "",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "half a line of what was learned",
        "shim/learning.py",
        "        if written != len(line):",
        "        if False:",
        "tests/root/test_shim_learning.py",
    ),
    Fault(
        "signals that end a daemon of the shim stay blocked",
        "shim/connections.py",
        "        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)",
        "        pass",
        "tests/shim/test_hostile.py",
    ),
    Fault(
        "a stranger is waited for without end",
        "shim/rootwrap_daemon_main.py",
        "        sock.settimeout(STRANGER_SECONDS)\n",
        "",
        "tests/shim/test_hostile.py",
    ),
    Fault(
        "commands have the home of sudo's caller",
        "privsep/daemon/main.py",
        "    _be_at_home(own)\n",
        "",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "SIGCHLD stays ignored",
        "privsep/daemon/main.py",
        "    signal.signal(signal.SIGCHLD, signal.SIG_DFL)\n",
        "",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "signals stay blocked",
        "privsep/daemon/main.py",
        "    signal.pthread_sigmask(signal.SIG_SETMASK, ())\n",
        "",
        "tests/privsep/test_hostile.py",
    ),
    Fault(
        "want of threads ends the daemon",
        "privsep/daemon/serve.py",
        "                if not self._wanted:\n",
        "                if True:\n",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "a call that begins is not marked",
        "privsep/daemon/answer_call.py",
        "        connection.mark[0] = number % NUMBERS\n",
        "",
        "tests/privsep/test_marks.py",
    ),
    Fault(
        "a hang-up is looked for before the mark is made",
        "privsep/daemon/answer_call.py",
        "        connection.mark[0] = number % NUMBERS\n"
        "        # one that gave up before we began: never execute what nobody waits for\n"
        "        if connection.closed:\n"
        "            return\n",
        "        if connection.closed:\n"
        "            return\n"
        "        connection.mark[0] = number % NUMBERS\n",
        "tests/privsep/test_marks.py",
    ),
    Fault(
        "the client can take the marks' memory away",
        "privsep/marks.py",
        "        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)\n",
        "",
        "tests/privsep/test_marks.py",
    ),
    Fault(
        "a slot that is another's tells of one's own call",
        "privsep/marks.py",
        "                return found if os.pread(self._fd, _KEY, place) == sought else None\n",
        "                return found\n",
        "tests/privsep/test_marks.py",
    ),
    Fault(
        "a call that shares its connection is not marked",
        "privsep/daemon/worker.py",
        "            connection.next[0] = number + 1 if 0 <= number < MOST_NUMBERS - 1 else 0\n",
        "",
        "tests/privsep/test_aio.py",
    ),
    Fault(
        "what comes late into a collection stays there",
        "privsep/daemon/collection.py",
        "        if not self.is_open:\n            self.give_back(arm)\n",
        "",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "the main thread stops looking while calls are executed",
        "privsep/daemon/serve.py",
        "        if running - stuck or len(running) >= self.workers < self.size:\n"
        "            return True\n",
        "",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "a worker keeps what it holds while it executes what it does not know",
        "privsep/daemon/worker.py",
        "            if is_new and collection.connections:\n"
        "                server.give_back(turn)\n",
        "",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "a worker keeps what it holds while a call takes long",
        "privsep/daemon/serve.py",
        "                    self.give_back(call[2])\n",
        "                    pass\n",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "a worker keeps what it holds when a call is given up",
        "privsep/daemon/serve.py",
        "                self.give_back(turn)\n                if not self.stopping:\n",
        "                if not self.stopping:\n",
        "tests/privsep/test_staying.py",
    ),
    Fault(
        "a child of a fork uses its parent's connections",
        "privsep/client/channel.py",
        "os.register_at_fork(after_in_child=_forget_all)\n",
        "",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "the daemon keeps the client's descriptors",
        "privsep/daemon/main.py",
        "                    os.dup2(null, int(name), inheritable=False)\n",
        "                    pass\n",
        "tests/privsep/test_channel.py",
    ),
    Fault(
        "fields of a record replace its methods",
        "privsep/client/answers.py",
        " and not hasattr(_RECORD, k)",
        "",
        "tests/privsep/test_logs.py",
    ),
    Fault(
        "the caller's folder is a place for the helper's modules",
        "privsep/daemon/main.py",
        "    del sys.path[0]\n",
        "    pass\n",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "a socket takes the place of a closed standard stream",
        "privsep/wire.py",
        "    if sock.fileno() >= _FIRST_FD:\n",
        "    if sock.fileno() >= 0:\n",
        "tests/privsep/test_streams.py",
    ),
    Fault(
        "what an import raises is not caught",
        "privsep/daemon/main.py",
        "    except (Exception, SystemExit) as error:\n",
        "    except KeyError as error:\n",
        "tests/privsep/test_helper.py",
    ),
    Fault(
        "links of an image lead out of it",
        "shim/files.py",
        '    if real != top and not real.startswith(f"{top}/"):\n',
        "    if not real:\n",
        "tests/root/test_shim_install.py",
    ),
    Fault(
        "words that sudoers reads in another way",
        "shim/install.py",
        "    _check_words(request)\n",
        "",
        "tests/root/test_shim_install.py",
    ),
    Fault(
        "a file is written in its place, whole or not",
        "shim/files.py",
        "    temporary = path + TEMPORARY\n    flags",
        "    temporary = path\n    flags",
        "tests/root/test_shim_install.py",
    ),
    Fault(
        "an access control list is not looked at",
        "linux/paths.py",
        "    if not _has_access_list(path):\n",
        "    if True:\n",
        "tests/linux/test_paths.py",
    ),
    Fault(
        "a program's access control list is not looked at",
        "shim/client.py",
        '        posix.getxattr(path, "system.posix_acl_access")\n',
        "        return False\n",
        "tests/shim/test_run.py",
    ),
    Fault(
        "a caller accepts what others can write",
        "shim/rootwrap_main.py",
        "    return _answer(Call(sys.argv[0], tuple(sys.argv[1:]), ()))\n",
        "    return _answer(parse(sys.argv))\n",
        "tests/shim/test_run.py",
    ),
    Fault(
        "a caller's words are options of the daemon's",
        "shim/script.py",
        ", '--as', sys.argv[0]]",
        "]",
        "tests/shim/test_run.py",
    ),
    Fault(
        "the C library cuts a word at a NUL",
        "linux/spawn.py",
        '        raise ValueError("embedded null byte")\n',
        "        pass\n",
        "tests/linux/test_spawn.py",
    ),
    Fault(
        "two requests are taken for one",
        "shim/frames.py",
        "    if size > MAX_MESSAGE or len(payload) > size:\n",
        "    if size > MAX_MESSAGE:\n",
        "tests/shim/test_frames.py",
    ),
    Fault(
        "an installation that is killed leaves no manifest",
        "shim/install.py",
        "        write_manifest(begun)\n",
        "",
        "tests/root/test_shim_uninstall.py",
    ),
    Fault(
        "units stay enabled",
        "shim/uninstall.py",
        "                if os.path.islink(inside(root, link)):",
        "                if False:",
        "tests/root/test_shim_uninstall.py",
    ),
    Fault(
        "a name begins a line of a message",
        "cli/__init__.py",
        'print(f"privmigrate: {printable(text)}", file=sys.stderr)',
        'print(f"privmigrate: {text}", file=sys.stderr)',
        "tests/cli/test_odd_files.py::test_names_cannot_write_to_the_terminal",
    ),
    Fault(
        "a name of the shim's begins a line",
        "cli/shim.py",
        "        print(printable(line), file=file)\n",
        "        print(line, file=file)\n",
        "tests/cli/test_odd_files.py::test_names_cannot_write_to_the_terminal",
    ),
    Fault(
        "a command runs without the record that is required",
        "shim/client.py",
        "            if index.required and not taken:\n",
        "            if False:\n",
        "tests/shim/test_syslog.py",
    ),
    Fault(
        "a daemon's command runs without the record that is required",
        "shim/daemon.py",
        "        if self._index.required:\n",
        "        if False:\n",
        "tests/shim/test_syslog.py",
    ),
    Fault(
        "every line waits for a syslog daemon that hangs",
        "shim/client.py",
        "            self.patience, self.socket = 0.0, None",
        "            self.socket = None",
        "tests/shim/test_syslog.py",
    ),
    Fault(
        "a record that is lost is not counted",
        "shim/client.py",
        "    if not count_lost(config):\n",
        "    if False:\n",
        "tests/shim/test_syslog.py",
    ),
    Fault(
        "a daemon's records are lost and not counted",
        "shim/trail.py",
        "        elif not client.count_lost(self._config):\n",
        "        elif False:\n",
        "tests/shim/test_syslog.py",
    ),
    Fault(
        "records change their order while syslog hangs",
        "shim/trail.py",
        "            line = self._waiting[0]\n",
        "            self._waiting.rotate()\n            line = self._waiting[0]\n",
        "tests/shim/test_trail.py",
    ),
    Fault(
        "a daemon ends before syslog has what it kept",
        "shim/trail.py",
        "        self.drain(_PATIENCE_AT_END)\n",
        "",
        "tests/shim/test_trail.py",
    ),
    Fault(
        "a daemon ends before its commands do",
        "shim/connections.py",
        "            while thread.is_alive():\n",
        "            while False:\n",
        "tests/shim/test_trail.py",
    ),
    Fault(
        "the record comes behind the answer",
        "shim/daemon.py",
        "            self.trail.end(self.record, status, time.monotonic() - self.begin)\n",
        "            values = self.record, status, time.monotonic() - self.begin\n"
        "            __import__('threading').Timer(0.1, self.trail.end, values).start()\n",
        "tests/shim/test_trail.py",
    ),
)


def copy_project(target: Path) -> None:
    """Copy what the tests need."""
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored, symlinks=True)
        else:
            shutil.copy(source, target / name)
    if (PROJECT / ".cache").is_dir():
        (target / ".cache").symlink_to(PROJECT / ".cache")


def passes(folder: Path, test: str) -> bool | None:
    """Whether the tests pass in this copy; None where they did not run at all."""
    # what tests execute is the copy too, and not what is installed
    found = os.pathsep.join((str(folder), *filter(None, (os.environ.get("PYTHONPATH"),))))
    done = subprocess.run(
        [*PYTEST, test],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": found},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode == TESTS_FAILED:
        return False
    return True if done.returncode == 0 else None


def seed(fault: Fault, folder: Path) -> str | None:
    """Try one fault in a copy of its own; what is wrong, or None."""
    copy_project(folder)
    path = folder / "privmigrate" / fault.file
    try:
        path.write_text(fault.seeded(path.read_text()))
    except ValueError as error:
        return str(error)
    outcome = passes(folder, fault.test)
    if outcome is None:
        return f"{fault.test} did not run"
    return f"{fault.test} passes all the same" if outcome else None


def run(faults: Iterable[Fault], scratch: Path) -> int:
    """Try all faults; how many went unnoticed."""
    faults = tuple(faults)
    unnoticed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        tries = {pool.submit(seed, f, scratch / str(n)): f for n, f in enumerate(faults)}
        for done in concurrent.futures.as_completed(tries):
            problem = done.result()
            unnoticed += problem is not None
            print(f"{'noticed' if problem is None else 'UNNOTICED'}: {tries[done].name}"
                  + (f": {problem}" if problem else ""), flush=True)  # fmt: skip
    print(f"{len(faults) - unnoticed} of {len(faults)} seeded faults noticed")
    return unnoticed


def main(names: list[str]) -> int:
    """Run the faults whose name contains one of `names`; all without."""
    chosen = [f for f in FAULTS if not names or any(name in f.name for name in names)]
    with tempfile.TemporaryDirectory(prefix="privmigrate-faults-") as scratch:
        healthy = Path(scratch) / "healthy"
        healthy.mkdir()
        copy_project(healthy)
        # twice, for a busy machine may fail one once; pytest itself is not that patient
        broken = [
            test
            for test in sorted({f.test for f in chosen})
            if not passes(healthy, test) and not passes(healthy, test)
        ]
        if broken or not chosen:
            print(f"without any fault these do not pass: {' '.join(broken) or 'none chosen'}")
            return 1
        for number in range(len(chosen)):
            (Path(scratch) / str(number)).mkdir()
        return 1 if run(chosen, Path(scratch)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
