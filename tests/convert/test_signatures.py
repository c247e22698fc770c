"""Signatures of entrypoints that were made from calls, as a reviewer would want to read them."""

import ast

import pytest

from tests.cli.services import Make

FILTERS = """\
ovs: CommandFilter, ovs-vsctl, root
chown: CommandFilter, chown, root
chmod: CommandFilter, chmod, root
mkdir: CommandFilter, mkdir, root
rm: CommandFilter, rm, root
net: CommandFilter, net, root
ipset: CommandFilter, ipset, root
shcat: RegExpFilter, sh, root, sh, -c, cat .*
cp: CommandFilter, cp, root
"""


def signatures(service_texts: dict[str, str]) -> list[str]:
    """``name(positional, *, by_name)`` of every entrypoint."""
    found = []
    for name, text in sorted(service_texts.items()):
        if name.endswith(".py"):
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef):
                    named = [each.arg for each in node.args.kwonlyargs]
                    row = [each.arg for each in node.args.args] + (["*", *named] if named else [])
                    found.append(f"{node.name}({', '.join(row)})")
    return found


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        # the same value in several places is one parameter
        (
            "'ovs-vsctl', 'add-port', bridge, device, '--', 'set', 'interface', device,"  # noqa: ISC004
            " 'mtu=%s' % mtu, '--', 'set', 'interface', device, 'name=%s' % name",
            "ovs_vsctl_add_port_set(bridge, device, *, mtu, name)",
        ),
        ("'cp', path, path", "cp(source)"),
        ("'cp', self.path['a'], self.path['a']", "cp(source)"),
        # and another value another one, as is what two calls may give
        ("'cp', path, device", "cp(source, target)"),
        ("'cp', self.next(), self.next()", "cp(source, target)"),
        # a verb does not name what follows it
        ("'ovs-vsctl', '--timeout=2', 'add-br', bridge", "ovs_vsctl_add_br(bridge)"),
        ("'net', 'conf', 'delshare', share", "net_conf_delshare(share)"),
        ("'ipset', 'add', '-exist', name, device", "ipset_add_exist(name, device)"),
        # with a reference there is no owner and no mode
        ("'chown', '--reference=%s' % device, path", "chown(path, *, reference)"),
        ("'chmod', '--reference=%s' % device, path", "chmod(path, *, reference)"),
        ("'chmod', mtu, path", "chmod(mode, path)"),
    ],
)
def test_what_a_signature_says(
    call: str,
    signature: str,
    make_service: Make,
) -> None:
    service = make_service(
        FILTERS,
        driver=f"""\
        from svc import utils

        class Driver:
            def act(self, bridge, device, mtu, path, share, name):
                utils.execute({call}, run_as_root=True)
        """,
    )
    service.convert()
    assert signatures(service.generated()) == [signature]
    assert service.rewrite("--prove", "proofs") == 0
    assert "1 passed" in service.proven()


def test_a_switch_of_one_letter_says_what_it_asks_for(make_service: Make) -> None:
    service = make_service(
        FILTERS,
        driver="""\
        from svc import utils

        def make(path, p):
            cmd = ['mkdir']
            if p:
                cmd.append('-p')
            utils.execute(*cmd, path, run_as_root=True)
        """,
    )
    service.convert()
    assert signatures(service.generated()) == ["mkdir(path, *, parents)"]
    assert service.rewrite() == 0
    assert "mkdir(path, parents=bool(p))" in service.text("driver")


def test_two_calls_of_which_one_differs_keep_both_parameters(
    make_service: Make,
) -> None:
    service = make_service(
        FILTERS,
        driver="""\
        from svc import utils

        def one(path):
            utils.execute('cp', path, path, run_as_root=True)

        def two(path, device):
            utils.execute('cp', path, device, run_as_root=True)
        """,
    )
    service.convert()
    assert signatures(service.generated()) == ["cp(source, target)"]


def test_a_rule_that_stays_and_calls_of_another_have_names(
    make_service: Make,
) -> None:
    """A pattern's rule may stay beside what calls need: both are named in one order."""
    service = make_service(
        FILTERS,
        driver="""\
        from svc import utils

        def shell(words):
            utils.execute('sh', '-c', *words.split(), run_as_root=True)

        def copy(path, device):
            utils.execute('cp', path, device, run_as_root=True)
        """,
    )
    assert service.convert() in {0, 3}
    assert signatures(service.generated()) == ["cp(source, target)", "shcat(*, script, stdin)"]
