"""Variables that name programs, libraries or configuration to programs that root runs."""

from fnmatch import fnmatchcase
from typing import Final

# sudo's own list of variables that it removes (plugins/sudoers/env.c) begins alike; the tools'
# own come from their manual pages.
_EXACT: Final = {
    "PATH": "the programs that it runs",
    "BASH_ENV": "a script that shells run first",
    "ENV": "a script that shells run first",
    "SHELLOPTS": "options of shells",
    "PS4": "a command that shells run",
    "IFS": "how shells split words",
    "PYTHONPATH": "modules that Python imports",
    "PYTHONHOME": "Python's own modules",
    "PYTHONUSERBASE": "modules that Python imports",
    "PYTHONSTARTUP": "a script that Python runs",
    "PERL5LIB": "modules that Perl imports",
    "PERL5OPT": "options of Perl",
    "RUBYLIB": "modules that Ruby imports",
    "RUBYOPT": "options of Ruby",
    "NODE_OPTIONS": "options of Node",
    "JAVA_TOOL_OPTIONS": "options of Java",
    "CLASSPATH": "classes that Java loads",
    "GCONV_PATH": "libraries that it loads",
    "LVM_SYSTEM_DIR": "LVM's configuration",
    "HOME": "configuration below the home folder",
    "EDITOR": "a program that it runs",
    "VISUAL": "a program that it runs",
    "PAGER": "a program that it runs",
    "TMPDIR": "where it writes",
    "OPENSSL_CONF": "libraries that it loads",
    "GIT_SSH": "a program that it runs",
    "TAR_OPTIONS": "options of tar",
    "MODPROBE_OPTIONS": "options of modprobe",
}
_PREFIXES: Final = {
    "LD_": "libraries that it loads",
    "DYLD_": "libraries that it loads",
    "BASH_FUNC": "functions of shells",
    "GIT_": "programs that git runs",
}


def dangerous_variable(name: str) -> str:
    """What a variable names that an attacker would like to choose; "" if nothing is known."""
    if name in _EXACT:
        return _EXACT[name]
    return next((what for prefix, what in _PREFIXES.items() if name.startswith(prefix)), "")


def dangerous_pattern(pattern: str) -> str:
    """The same of a name that may have wildcards, as sudo's lists have them."""
    if "*" not in pattern:
        return dangerous_variable(pattern)
    fitting = (what for name, what in _EXACT.items() if fnmatchcase(name, pattern))
    head = pattern.partition("*")[0]
    begun = (what for prefix, what in _PREFIXES.items() if prefix.startswith(head))
    return next(fitting, "") or dangerous_variable(head) or next(begun, "")
