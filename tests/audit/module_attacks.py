"""For each rule about privsep modules an attack through oslo.privsep, and the same through ours.

`oslo` is an entrypoint as they are found, `ours` is what convert writes in its place; `call` is
what a client who owns the service sends, and `proper` what the service sends. @ is a folder.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class ModuleAttack:
    """One entrypoint, twice, and a call that does more than was meant.

    Attributes:
        effect: as in `tests.audit.sandbox`.
        refused: what our side says, or "" where it does no more than was meant.
        ours_call: the call in our side's words, where its parameters have other names.
    """

    code: str
    oslo: str
    call: str
    effect: str
    ours: str
    refused: str = "99"
    proper: str = ""
    ours_call: str = ""


MODULE_ATTACKS: Final = (
    ModuleAttack(
        "PM601",
        "def f(*cmd):\n    return processutils.execute(*cmd)",
        "f('@/x')",
        "ran",
        "@command\ndef f(word: Literal['a', 'b']) -> ExecResult:\n    return run(ECHO, '-n', word)",
        proper="f('a')",
    ),
    ModuleAttack(
        "PM602",
        "def f(*args):\n    return processutils.execute('sort', *args)",
        "f('--output=@/cron', '@/hosts')",
        "wrote cron",
        "@command\ndef f(path: Operand) -> ExecResult:\n    return run(SORT, path)",
        refused="TypeError",
        proper="f('@/hosts')",
    ),
    ModuleAttack(
        "PM603",
        "def f(name):\n    return subprocess.run('echo ' + name, shell=True)",
        "f('; @/x')",
        "ran",
        "@command\ndef f(name: Operand) -> ExecResult:\n    return run(ECHO, name)",
        refused="",
        proper="f('a')",
    ),
    ModuleAttack(
        "PM604",
        "def f(path):\n    with open(path) as file:\n        return file.read()",
        "f('@/im/../shadow')",
        "read",
        "@command\ndef f(path: Annotated[str, PathWithin('@/im/')]) -> ExecResult:\n"
        "    return run(CAT, path)",
        proper="f('@/im/fine')",
    ),
    ModuleAttack(
        "PM606",
        "def f(name):\n    if '/' in name:\n        raise ValueError(name)\n"
        "    return processutils.execute('cat', '@/im/' + ''.join(name))",
        "f(['..', '/shadow'])",
        "read",
        "@command\ndef f(name: Annotated[str, Matches(r'[a-z]+')]) -> ExecResult:\n"
        "    return run(CAT, f'@/im/{name}')",
        proper="f('fine')",
    ),
    ModuleAttack(
        "PM607",
        "@command\ndef f(key: Argument) -> ExecResult:\n    return run(SORT, key, '@/hosts')",
        "f('--output=@/cron')",
        "wrote cron",
        "@command\ndef f(key: Operand) -> ExecResult:\n    return run(SORT, key, '@/hosts')",
        proper="f('@/hosts')",
    ),
    ModuleAttack(
        "PM608",
        "def f(name, *args):\n    return getattr(os, name)(*args)",
        "f('system', '@/x')",
        "ran",
        "@command\ndef f(name: Literal['-r', '-m']) -> ExecResult:\n    return run(UNAME, name)",
        ours_call="f('system')",
        proper="f('-r')",
    ),
    ModuleAttack(
        "PM609",
        "def f(data):\n    return pickle.loads(data)",
        "f(b\"cos\\nsystem\\n(S'@/x'\\ntR.\")",
        "ran",
        "@command\ndef f(data: Stdin) -> ExecResult:\n    return run(CAT, stdin=data)",
        refused="",
        proper="f('{}')",
    ),
    ModuleAttack(
        "PM610",
        "def f(env):\n    processutils.execute('bash', '-c', 'true', env_variables=env)",
        "f({'BASH_ENV': '@/x'})",
        "ran",
        "@command\ndef f(*, lang: EnvValue) -> ExecResult:\n"
        "    return run(BASH, '-c', 'true', env=environment({}, ('LANG',), LANG=lang))",
        refused="TypeError",
        ours_call="f(BASH_ENV='@/x')",
        proper="f(lang='C')",
    ),
    ModuleAttack(
        "PM613",
        "def f(**kwargs):\n    return sorted(kwargs)",
        "f(path='a', _wrap_timeout=30)",
        "said ('path',)",
        "def f(path: str, _wrap_timeout: int = 0) -> list[object]:\n"
        "    return [path, _wrap_timeout]",
        refused="",
        proper="f('a', 1)",
    ),
    ModuleAttack(
        "PM614",
        "def f(data: str):\n    with open('@/a/lock', 'w') as file:\n        file.write(data)",
        "os.symlink('../passwd', '@/a/lock') or f('mine')",
        "wrote passwd",
        "@command\ndef f(path: Annotated[str, PathWithin('@/a/')], stdin: Stdin) -> ExecResult:\n"
        "    return run(TEE, path, stdin=stdin)",
        ours_call="os.symlink('../passwd', '@/a/lock') or f('@/a/lock', 'mine')",
        proper="f('@/a/own', 'mine')",
    ),
    ModuleAttack(
        "PM615",
        "def f():\n    os.umask(0)\n    open('@/out/new', 'w').close()",
        "f()",
        "owned out/new",
        "@command\ndef f(path: Annotated[str, PathWithin('@/out/')]) -> ExecResult:\n"
        "    return run(TOUCH, path)",
        refused="",
        ours_call="f('@/out/new')",
        proper="f('@/out/new')",
    ),
    ModuleAttack(
        "PM616",
        "def f(name):\n    return processutils.execute('sort', name, '@/hosts')",
        "f('--output=@/cron')",
        "wrote cron",
        "@command\ndef f(name: Operand) -> ExecResult:\n    return run(SORT, name, '@/hosts')",
        proper="f('@/hosts')",
    ),
)
