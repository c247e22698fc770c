"""What is generated for calls: the mistakes that people made by hand cannot happen here."""

import inspect
import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from privmigrate.callsites.site import Result, Site
from privmigrate.convert.use import Form, Use
from privmigrate.errors import Refused
from privmigrate.privsep.execute import Planned
from tests.convert.packages import command_of, imported
from tests.convert.sites import call, converted, each, site, template, value, when, word

RULES = """
mount: CommandFilter, mount, root
mkfs: CommandFilter, mkfs, root
chown: CommandFilter, chown, root
chmod: CommandFilter, chmod, root
ip: CommandFilter, ip, root
ln: CommandFilter, ln, root
touch: CommandFilter, touch, root
truncate: CommandFilter, truncate, root
tee: CommandFilter, tee, root
dnsmasq: CommandFilter, dnsmasq, root
kill_dnsmasq: KillFilter, root, /usr/sbin/dnsmasq, -9
idmapshift: CommandFilter, nova-idmapshift, root
image: RegExpFilter, qemu-img, root, qemu-img, info, /var/lib/x/(?!.*\\.\\.).*
"""


class Service:
    """The package that is made for some calls, and what these run with given values."""

    def __init__(self, folder: Path, *sites: Site) -> None:
        self._folders = (folder / str(number) for number in itertools.count())
        self.conversion = converted(RULES, *sites, package="service")

    @property
    def folder(self) -> Path:
        """Another one every time: a package is not written twice."""
        return next(self._folders)

    def run(self, values: Mapping[str, object], number: int = 0) -> Planned:
        """Evaluate a replaced call's arguments as its caller would, and plan it."""
        use = self.use(number)
        with imported(self.conversion, "service", self.folder):
            entrypoint = command_of("service", use.op)
            positional = [eval(a.source, dict(values)) for a in use.arguments if not a.keyword]
            named = {a.name: eval(a.source, dict(values)) for a in use.arguments if a.keyword}
            if use.stdin:
                named["stdin"] = eval(use.stdin, dict(values))
            inspect.signature(entrypoint).bind(*positional, **named)
            (planned,) = entrypoint.plan(*positional, **named)
        return planned

    def use(self, number: int = 0) -> Use:
        return sorted(self.conversion.uses, key=lambda use: use.site.span)[number]


def test_every_value_of_a_call_is_given_to_its_entrypoint(tmp_path: Path) -> None:
    """By hand mount() was called with three of its four arguments (nova, 2017 to 2019)."""
    made = call("mount", "-t", "nfs", "-o", value("options"), value("export"), value("target"))
    service = Service(tmp_path, made)
    values = {"options": "ro", "export": "h:/e", "target": "/mnt"}
    assert service.run(values).argv[1:] == ("-t", "nfs", "-o", "ro", "h:/e", "/mnt")


@pytest.mark.parametrize(("label", "words"), [("x", ("-L", "x", "/dev/a")), (None, ("/dev/a",))])
def test_an_optional_value_is_not_lost(
    tmp_path: Path, label: str | None, words: tuple[str, ...]
) -> None:
    """mkfs(fs, path, label=None) passed None on whatever it got: the label was lost (nova 34)."""
    made = call("mkfs", when("label", "-L", value("label")), value("device"))
    service = Service(tmp_path, made)
    assert service.run({"label": label, "device": "/dev/a"}).argv[1:] == words


def test_arguments_keep_their_order(tmp_path: Path) -> None:
    """The arguments of idmapshift were given in another order (nova, 2017 to 2026)."""
    made = call(
        "nova-idmapshift",
        "-u",
        value("uids"),
        "-g",
        value("gids"),
        "-n",
        value("nobody"),
        value("path"),
    )
    service = Service(tmp_path, made)
    values = {"uids": "1:2", "gids": "3:4", "nobody": 9, "path": "/p"}
    assert service.run(values).argv[1:] == ("-u", "1:2", "-g", "3:4", "-n", "9", "/p")


def test_what_is_no_word_is_refused(tmp_path: Path) -> None:
    """One caller of chown passed a file object for a path (nova, 2017 to 2018)."""
    service = Service(tmp_path, call("chown", "root", value("path")))
    with pytest.raises(Refused), (tmp_path / "x").open("w") as file:
        service.run({"path": file})


def test_a_text_in_the_place_of_a_list_is_not_split_into_letters(tmp_path: Path) -> None:
    """`cmd += client_id` took a text apart (neutron, 2020)."""
    service = Service(tmp_path, call("dnsmasq", each("ids", value("each"))))
    assert service.run({"ids": ["ab", "cd"]}).argv[1:] == ("ab", "cd")
    with imported(service.conversion, "service", tmp_path), pytest.raises(Refused):
        command_of("service", service.use().op).plan("abcd")


def test_numbers_are_words_too(tmp_path: Path) -> None:
    """Numbers in the command line were refused (nova until 2026)."""
    made = call("ip", "link", "set", value("dev"), "vf", value("number"), "trust", "on")
    service = Service(tmp_path, made)
    assert service.run({"dev": "eth0", "number": 3}).argv[5:6] == ("3",)


def test_a_number_may_be_a_part_of_a_word(tmp_path: Path) -> None:
    """`'-p%s' % port` takes the number that the option of a configuration is (cinder's LIO)."""
    made = call("ip", word("-p", value("port")), word("a=", value("name"), ":", value("number")))
    service = Service(tmp_path, made)
    given = {"port": 3260, "name": "b", "number": 7}
    assert service.run(given).argv[1:] == ("-p3260", "a=b:7")
    with pytest.raises(Refused):
        service.run({**given, "port": True})


def test_sizes_are_given_as_they_are(tmp_path: Path) -> None:
    """A native truncate did not know '2G' and was reverted (cinder, 2019)."""
    service = Service(tmp_path, call("truncate", "-s", value("size"), value("path")))
    for size in ("2G", 1024, "1KB"):
        assert service.run({"size": size, "path": "/a"}).argv[2] == str(size)


def test_a_hard_link_stays_one(tmp_path: Path) -> None:
    """`ln a b` became a symbolic link (cinder since 2018)."""
    service = Service(tmp_path, call("ln", value("target"), value("name")))
    assert service.run({"target": "/a", "name": "/b"}).argv[1:] == ("/a", "/b")


def test_conditional_root_stays_conditional() -> None:
    """Whether touch ran as root was forgotten, so that it always did (cinder, 2018)."""
    made = call("touch", value("path"), condition="self._execute_as_root")
    (use,) = converted(RULES, made).uses
    assert use.condition == "self._execute_as_root"


def test_a_signal_is_sent_with_the_capability_to() -> None:
    """kill moved into a context without CAP_KILL (nova, 2019)."""
    (op,) = converted(RULES, call("kill", "-9", value("pid"))).ops
    assert op.capabilities is not None
    assert "CAP_KILL" in op.capabilities


def test_a_pattern_of_a_rule_is_checked_as_one(tmp_path: Path) -> None:
    """A pattern was written where a folder is compared, so that nothing matched (neutron)."""
    service = Service(tmp_path, call("qemu-img", "info", value("path")))
    assert service.run({"path": "/var/lib/x/a"}).argv[2] == "/var/lib/x/a"
    with pytest.raises(Refused):
        service.run({"path": "/var/lib/x/../y"})


def test_what_is_fed_to_a_command_arrives(tmp_path: Path) -> None:
    made = call("tee", value("path"), process_input="data")
    service = Service(tmp_path, made)
    assert service.run({"path": "/a", "data": b"x"}).stdin == b"x"
    (silent,) = converted(RULES, call("tee", value("path"))).ops
    assert not silent.stdin


def test_similar_calls_share_an_entrypoint_and_verbs_do_not() -> None:
    conversion = converted(
        RULES,
        call("chmod", "777", value("path"), line=1),
        call("chmod", "777", value("share['path']"), line=2),
        call("chmod", "640", value("path"), line=3),
        call("chown", value("owner"), "/a", line=4),
        call("chown", "root", value("path"), line=5),
    )
    names = sorted(op.name for op in conversion.ops)
    assert names == ["chmod_640", "chmod_777", "chown_a", "chown_root"]


def test_choices_of_a_loop_become_a_literal() -> None:
    from privmigrate.argv.spec import Choice

    made = call("mkfs", "-t", value("kind", Choice(("ext3", "ext4"))), value("device"))
    conversion = converted(RULES, made)
    assert 'filesystem: Literal["ext3", "ext4"]' in conversion.texts["storage.py"]


def test_several_values_in_one_word_are_one_checked_parameter(tmp_path: Path) -> None:
    made = call("chown", word(value("uid"), ":", value("gid")), value("path"))
    service = Service(tmp_path, made)
    assert service.run({"uid": 1, "gid": 2, "path": "/a"}).argv[1] == "1:2"
    with pytest.raises(Refused):
        service.run({"uid": "-R", "gid": "x", "path": "/a"})


def test_a_value_in_a_list_of_options_adds_no_option(tmp_path: Path) -> None:
    options = word("username=", value("user"), ",domain=", value("domain"))
    service = Service(tmp_path, call("mount", "-t", "cifs", value("share"), "-o", options))
    values = {"share": "//h/s", "user": "u", "domain": "d"}
    assert service.run(values).argv[-1] == "username=u,domain=d"
    for name in ("user", "domain"):
        with pytest.raises(Refused):
            service.run({**values, name: "x,uid=0"})
    single = word("ro,username=", value("user"))
    service = Service(tmp_path / "single", call("mount", value("share"), "-o", single))
    assert service.run(values).argv[-1] == "ro,username=u"
    with pytest.raises(Refused):
        service.run({**values, "user": "x,suid"})


def test_a_folder_of_the_call_is_not_left(tmp_path: Path) -> None:
    service = Service(tmp_path, call("touch", word("/var/lib/x/", value("name"))))
    assert service.run({"name": "a/b"}).argv[1] == "/var/lib/x/a/b"
    for name in ("../../etc/shadow", "a/../../b", ""):
        with pytest.raises(Refused):
            service.run({"name": name})


def test_no_operand_becomes_an_option(tmp_path: Path) -> None:
    service = Service(tmp_path, call("chmod", "755", value("path")))
    for path in ("-R", "--reference=/etc/shadow", "a\n"):
        with pytest.raises(Refused):
            service.run({"path": path})


def test_no_chosen_option_of_ip_reads_a_file_of_commands(tmp_path: Path) -> None:
    made = call("ip", word("-", value("option")), "link", "add", value("name"))
    service = Service(tmp_path, made)
    assert service.run({"option": "4", "name": "v0"}).argv[1] == "-4"
    for option in ("b", "bat", "batch", "-batch"):
        with pytest.raises(Refused):
            service.run({"option": option, "name": "v0"})


def test_several_commands_are_one_list_of_which_the_first_word_chooses(tmp_path: Path) -> None:
    rules = f"{RULES}\nmkswap: CommandFilter, mkswap, root"
    made = site(
        template("mkswap", value("device"), guard="swap"),
        template("mkfs", value("device"), guard="not swap"),
        words="cmd",
    )
    conversion = converted(rules, made, package="service")
    (use,) = conversion.uses
    assert use.form is Form.CHECKED
    with imported(conversion, "service", tmp_path):
        entrypoint = command_of("service", use.op)
        for name in ("mkfs", "mkswap"):
            (planned,) = entrypoint.plan([name, "/dev/a"])
            assert planned.argv[0].rpartition("/")[2] == name
        with pytest.raises(Refused):
            entrypoint.plan(["chmod", "/dev/a"])


def test_a_native_is_used_where_it_knows_every_form() -> None:
    silent = site(template("chmod", "755", value("path")), result=Result.IGNORED)
    assert "natives.do(CHMOD" in converted(RULES, silent).texts["files.py"]
    recursive = call("chmod", "-R", "755", value("path"))
    assert "run(CHMOD" in converted(RULES, recursive).texts["files.py"]
