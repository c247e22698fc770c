"""File trees: listings and real ones are alike, links stay inside, nothing is passed over."""

import os
from pathlib import Path

import pytest

from privmigrate.audit.evidence import Role
from privmigrate.audit.gather import gather
from privmigrate.audit.listing import ListedTree
from privmigrate.audit.tree import DiskTree, Kind
from privmigrate.errors import InputError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of a machine whose /etc/cinder is a link into a virtual environment."""
    for folder in ("etc", "opt/venv/etc/cinder", "opt/venv/etc/cinder/rootwrap.d", "usr/bin"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/cinder").symlink_to("/opt/venv/etc/cinder")
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\ncinder:x:4321:1::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nops:x:1234:\n")
    (tmp_path / "opt/venv/etc/cinder/rootwrap.conf").write_text(
        "[DEFAULT]\nfilters_path=/etc/cinder/rootwrap.d\nexec_dirs=/usr/bin\n"
    )
    (tmp_path / "opt/venv/etc/cinder/rootwrap.d/a.filters").write_text(
        "[Filters]\nl: CommandFilter, lvs, root\n"
    )
    (tmp_path / "usr/bin/lvs").touch(0o755)
    return tmp_path


def test_links_are_followed_inside_the_image(image: Path) -> None:
    tree = DiskTree(str(image))
    walk = tree.walk("/etc/cinder/rootwrap.conf")
    assert [node.path for node in walk.steps] == [
        "/",
        "/etc",
        "/etc/cinder",
        "/opt",
        "/opt/venv",
        "/opt/venv/etc",
        "/opt/venv/etc/cinder",
        "/opt/venv/etc/cinder/rootwrap.conf",
    ]
    assert walk.steps[2].kind is Kind.LINK
    assert tree.read("/etc/cinder/rootwrap.conf").startswith(b"[DEFAULT]")
    assert tree.names("/etc/cinder/rootwrap.d") == ("a.filters",)


def test_dots_and_links_to_the_root_are_walked_as_the_kernel_does(image: Path) -> None:
    (image / "up").symlink_to("/")
    tree = DiskTree(str(image))
    assert tree.walk("/etc/../usr/./bin//lvs").steps[-1].path == "/usr/bin/lvs"
    assert tree.walk("/usr/bin/..").steps[-1].path == "/usr"
    assert tree.walk("/up/etc/passwd").steps[-1].path == "/etc/passwd"
    assert tree.walk("/../../etc").steps[-1].path == "/etc"


def test_a_circle_of_links_ends(image: Path) -> None:
    (image / "a").symlink_to("b")
    (image / "b").symlink_to("a")
    walk = DiskTree(str(image)).walk("/a")
    assert (walk.end, walk.why) == (None, "too many symbolic links")


def test_what_is_no_regular_file_is_not_read(image: Path) -> None:
    os.mkfifo(image / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        DiskTree(str(image)).read("/pipe")


@pytest.mark.root
def test_owners_of_a_real_tree_are_told_by_its_own_names(image: Path) -> None:
    os.chown(image / "opt/venv", 4321, 1234)
    os.chown(image / "opt/venv/etc/cinder", 0, 1234)
    (image / "opt/venv/etc/cinder").chmod(0o775)
    evidence = gather(DiskTree(str(image)), ("/etc/cinder/rootwrap.conf",))
    weak = [(node.path, who) for _, node, who in evidence.weak_steps(Role.CONFIG)]
    assert weak == [
        ("/opt/venv", "belongs to cinder"),
        ("/opt/venv/etc/cinder", "is writable by group ops"),
    ]


def test_a_listing_and_a_real_tree_give_the_same_evidence(image: Path) -> None:
    listed = ListedTree(
        "lrwxrwxrwx root root /etc/cinder -> /opt/venv/etc/cinder\n"
        "-rw-r--r-- root root /opt/venv/etc/cinder/rootwrap.conf\n"
        "    [DEFAULT]\n    filters_path=/etc/cinder/rootwrap.d\n    exec_dirs=/usr/bin\n"
        "-rw-r--r-- root root /opt/venv/etc/cinder/rootwrap.d/a.filters\n"
        "    [Filters]\n    l: CommandFilter, lvs, root\n"
        "-rwxr-xr-x root root /usr/bin/lvs\n"
    )
    paths = ("/etc/cinder/rootwrap.conf",)
    one, other = gather(listed, paths), gather(DiskTree(str(image)), paths)
    assert [e.rule for e in one.entries] == [e.rule for e in other.entries]
    assert [(g.role, g.walk.path, g.purpose) for g in one.guarded] == [
        (g.role, g.walk.path, g.purpose) for g in other.guarded
    ]
    assert [[n.path for n in g.walk.steps] for g in one.guarded] == [
        [n.path for n in g.walk.steps] for g in other.guarded
    ]


def test_the_bits_of_a_listing() -> None:
    tree = ListedTree("drwxrwxrwt root root /tmp\n-rwsr-sr-x root root /su\n")
    assert oct(tree.look("/tmp").mode) == "0o1777"
    assert oct(tree.look("/su").mode) == "0o6755"


def test_a_folder_is_searched_through(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x.filters").write_text("[Filters]\nl: CommandFilter, lvs, root\n")
    (tmp_path / "a/p.py").write_text(
        "from oslo_privsep import priv_context\n@c.entrypoint\ndef f():\n    pass\n"
    )
    (tmp_path / "a/other.py").write_text("x = 1\n")
    (tmp_path / "a/.git").mkdir()
    (tmp_path / "a/.git/y.filters").write_text("[Filters]\n")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    evidence = gather(DiskTree(), (str(tmp_path),))
    assert [file.path for file in evidence.files] == [f"{tmp_path}/a/b/x.filters"]
    assert [module.path for module in evidence.modules] == [f"{tmp_path}/a/p.py"]


def test_an_empty_folder_is_an_error_not_a_clean_result(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.filters file"):
        gather(DiskTree(), (str(tmp_path),))


@pytest.mark.root
def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """As nobody, an audit of files for root only says so, and never that there are none."""
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.filters").write_text("[Filters]\nl: CommandFilter, lvs, root\n")
    (folder / "b.filters").write_text("[Filters]\nm: CommandFilter, mount, root\n")
    (folder / "b.filters").chmod(0o600)
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o755)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            evidence = gather(DiskTree(), (str(folder),))
            lines = "\n".join(str(missed) for missed in evidence.unread)
            os.write(write_end, lines.encode() or b"nothing")
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    assert said == f"{folder}/b.filters: warning: cannot be read: Permission denied"
