"""What is found in the sources of six services and libraries that nobody here wrote.

They are the modules in their wheels, which tools/fetch_sources.py keeps; none is imported.
"""

# ruff: noqa: ISC004 - a template of several lines is one text
import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from privmigrate.callsites import Findings, Settings, Site, find_sites
from privmigrate.callsites.files import parse, read_files
from privmigrate.callsites.reasons import EXPLAINED
from privmigrate.callsites.site import Reason
from privmigrate.callsites.text import template_text
from tests.conftest import PROJECT
from tests.real import SOURCES, sites_of


@dataclass(frozen=True)
class Expected:
    """Least shares of direct sites, in percent, and how many sites there are."""

    package: str
    typable: int
    checkable: int
    direct: int
    through_wrappers: int
    unparsed: int = 0


EXPECTED: Final = {
    "manila-23.0.1": Expected("manila", 82, 85, 47, 115),
    "cinder-29.0.0": Expected("cinder", 85, 94, 98, 45),
    "neutron-29.0.0": Expected("neutron", 72, 83, 38, 34),
    "os-brick-7.1.1": Expected("os_brick", 72, 95, 66, 30),
    "glance_store-5.7.0": Expected("glance_store", 100, 100, 3, 3),
    "nova-15.1.5": Expected("nova", 80, 89, 159, 16, unparsed=1),
}
each_project = pytest.mark.parametrize("name", EXPECTED)


def found_in(name: str) -> Findings:
    folder = SOURCES / name / EXPECTED[name].package
    if not folder.is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    return sites_of(folder)


def share(part: int, whole: int) -> float:
    return 100 * part / whole


@each_project
def test_most_direct_sites_can_become_calls(name: str) -> None:
    expected = EXPECTED[name]
    direct = [site for site in found_in(name).sites if site.direct]
    assert len(direct) == expected.direct
    assert share(sum(site.typable for site in direct), len(direct)) >= expected.typable
    assert share(sum(site.checkable for site in direct), len(direct)) >= expected.checkable


def test_a_persons_word_on_manilas_gpfs_helper(tmp_path: Path) -> None:
    """Its driver makes it with a function that uses ssh where the configuration says so."""
    if not (SOURCES / "manila-23.0.1").is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    declared = "manila.share.drivers.ibm.gpfs.KNFSHelper._execute"
    (tmp_path / "manila").symlink_to(SOURCES / "manila-23.0.1" / "manila")
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.privmigrate]\nlocal-injected = ["{declared}"]\n'
    )
    found = find_sites([str(tmp_path / "manila")])
    assert found.diagnostics == ()
    resting = [site for site in found.sites if site.declared == (declared,)]
    functions = {"KNFSHelper.__init__", "KNFSHelper._get_exports", "KNFSHelper._has_client_access"}
    assert {site.function for site in resting} == functions
    direct = [site for site in found.sites if site.direct]
    assert (len(direct), sum(site.typable for site in direct)) == (47, 42)  # 89 %
    assert sum(site.checkable for site in direct) == 43  # 91 %


@each_project
def test_every_other_one_says_why(name: str) -> None:
    for site in found_in(name).sites:
        alternatives = len(site.templates) > 1
        fixed = any(not template.passable for template in site.templates)
        assert site.typable or site.reasons or site.via or alternatives or fixed, site.span
        assert site.resolved or site.reasons, site.span
        assert not (site.typable and site.reasons), site.span


@each_project
def test_calls_through_wrappers_are_found(name: str) -> None:
    sites = found_in(name).sites
    assert sum(bool(site.via) for site in sites) == EXPECTED[name].through_wrappers
    assert all(set(site.via) <= set(found_in(name).wrappers) for site in sites)


@each_project
def test_no_call_that_asks_for_root_is_overlooked(name: str) -> None:
    """Each is a site, or a call of a function that hands the question on to one, or to nothing."""
    found = found_in(name)
    places = {(site.span.file, site.span.line) for site in found.sites}
    handed_on = {each.rpartition(".")[2] for each in (*found.forwarders, *found.wrappers)}
    handed_on |= HAND_ON
    files, _ = read_files([str(SOURCES / name / EXPECTED[name].package)], Settings().exclude)
    for file in files:
        tree = parse(file) if b"run_as_root" in file.data else None
        for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
            if not isinstance(node, ast.Call) or not asks_for_root(node):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            assert (file.name, node.lineno) in places or called in handed_on, (
                f"{file.name}:{node.lineno}: {ast.unparse(node)}"
            )


# Functions and classes that take `run_as_root` for a call that is made elsewhere: by a forwarder,
# by an object later, or by a function of a privsep module.
HAND_ON: Final = {
    "dict", "__init__", "ProcessManager", "get_root_helper_child_pid", "delete_if_exists",
    "read_if_exists", "kill_process", "convert_image", "convert_image_unsafe", "upload_volume",
    "fetch_to_raw", "fetch_to_volume_format", "compress_img", "decompress_img",
    "_qemu_img_info_base", "safe_resize2fs",
}  # fmt: skip


def asks_for_root(node: ast.Call) -> bool:
    values = [each.value for each in node.keywords if each.arg == "run_as_root"]
    return any(not (isinstance(v, ast.Constant) and not v.value) for v in values)


@each_project
def test_what_is_no_python_3_is_said(name: str) -> None:
    codes = [each.code for each in found_in(name).diagnostics]
    assert set(codes) <= {"unparsed"}
    assert len(codes) >= EXPECTED[name].unparsed
    assert codes == [] or name.startswith("nova")


# Read in the sources by hand: what each of these calls may run, to the word.
BY_HAND: Final = {
    "manila-23.0.1 manila/network/linux/interface.py:179": [
        "ovs-vsctl -- --may-exist add-port {bridge} {device_name}"
        " [-- set Interface {device_name} type=internal]"
        " -- set Interface {device_name} external-ids:iface-id={port_id}"
        " -- set Interface {device_name} external-ids:iface-status=active"
        " -- set Interface {device_name} external-ids:attached-mac={mac_address}",
    ],
    # four lists that begin alike, joined in the call
    "manila-23.0.1 manila/share/drivers/container/driver.py:262": [
        "ovs-vsctl -- add-port {container_ovs_bridge_name} {host_veth}"
        " -- set interface {host_veth} 'external-ids:attached-mac=\"{port_mac}\"'"
        " -- set interface {host_veth} 'external-ids:iface-id=\"{port_id}\"'"
        " -- set interface {host_veth} external-ids:iface-status=active"
        " -- set interface {host_veth} external-ids:manila-container={server_id}",
    ],
    # in a `finally`: of what the `try` appends some first part is there
    "manila-23.0.1 manila/share/drivers/hpe/hpe_3par_mediator.py:776": [
        "rmdir [{hpe3par_share_mount_path}{dest_id}/source_snap"
        " [{hpe3par_share_mount_path}{dest_id}/dest_share]] {hpe3par_share_mount_path}{dest_id}",
    ],
    # 'sudo' is a word for the wrapper
    "manila-23.0.1 manila/share/drivers/zfsonlinux/driver.py:284": ["umount {mountpoint}"],
    "manila-23.0.1 manila/share/drivers/zfsonlinux/driver.py:503": [
        "zfs create (-o {option})... {dataset_name}",
    ],
    "manila-23.0.1 manila/share/drivers/zfsonlinux/utils.py:113": [
        "{zpool|zfs} get {option_name} {resource_name}",
    ],
    # a constructor chooses the path
    "manila-23.0.1 manila/share/drivers/ibm/gpfs.py:343": [
        "{/usr/lpp/mmfs/bin/|}mmsetquota {fsdev}:{sharename} --block 0:{size}G",
    ],
    # a nested function with a decorator around a parameter of the outer one
    "manila-23.0.1 manila/share/drivers/container/security_service_helper.py:63": [
        "docker exec {share_server_id} ldapwhoami -x -H ldap://localhost:389"
        " -D cn={ss_user},dc=example,dc=com -w {ss_password}",
    ],
    "cinder-29.0.0 cinder/brick/local_dev/lvm.py:734": [
        "lvchange -a y --yes -k n {vg_name}/{mangle_lv_name}",
        "lvchange -a y --yes -K {vg_name}/{mangle_lv_name}",
        "lvchange -a y --yes {vg_name}/{mangle_lv_name}",
    ],
    # the class attribute that a constructor assigns anew
    "cinder-29.0.0 cinder/brick/local_dev/lvm.py:152": [
        "LC_ALL=C vgs --noheadings -o name {vg_name}",
        "LC_ALL=C LVM_SYSTEM_DIR={lvm_sys_dir} LVM_SUPPRESS_FD_WARNINGS=1"
        " vgs --noheadings -o name {vg_name}",
        "LC_ALL=C LVM_SYSTEM_DIR={lvm_sys_dir} vgs --noheadings -o name {vg_name}",
        "LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 vgs --noheadings -o name {vg_name}",
    ],
    "cinder-29.0.0 cinder/volume/drivers/ibm/gpfs.py:1100": [
        "mkswap [-F] [{-n|-L} {label}] {path}",
        "mkfs -t {filesystem} [-F] [{-n|-L} {label}] {path}",
    ],
    "cinder-29.0.0 cinder/volume/drivers/remotefs.py:972": [
        "qemu-img rebase -u --object secret,id=s0,file={passphrase_file} -b {backing_file}"
        " -F {volume_format} --image-opts encrypt.key-secret=s0,file.filename={image}",
        "qemu-img rebase -u -b {backing_file} {image} -F {volume_format}",
    ],
    "cinder-29.0.0 cinder/image/image_utils.py:636": [
        "qemu-img resize -f {file_format} {source} {size}G",
        "qemu-img resize {source} {size}G",
    ],
    "nova-15.1.5 nova/network/linux_net.py:364": ["{iptables|ip6tables}-save -c"],
    "nova-15.1.5 nova/network/linux_net.py:1102": ["radvd -C {ra_file} -p {ra_file}"],
    "nova-15.1.5 nova/virt/libvirt/storage/lvm.py:80": [
        "lvcreate -L {preallocated_space}b --virtualsize {size}b -n {lv} {vg}",
        "lvcreate -L {size}b -n {lv} {vg}",
    ],
    # two words are chosen anew in every round of the loop
    "nova-15.1.5 nova/virt/libvirt/storage/lvm.py:190": [
        "dd bs={bs} if=/dev/zero of={path} seek={seek_blocks} count={zero_blocks} oflag=direct",
        "dd bs={bs} if=/dev/zero of={path} seek={seek_blocks} count={zero_blocks}"
        " oflag=direct conv=fdatasync",
        "dd bs={bs} if=/dev/zero of={path} seek={seek_blocks} count={zero_blocks}",
        "dd bs={bs} if=/dev/zero of={path} seek={seek_blocks} count={zero_blocks} conv=fdatasync",
    ],
    "nova-15.1.5 nova/volume/encryptors/cryptsetup.py:120": [
        "cryptsetup create --key-file=- [--cipher {cipher}] [--key-size {key_size}]"
        " {dev_name} {dev_path}",
    ],
    "os-brick-7.1.1 os_brick/local_dev/lvm.py:658": [
        "lvchange -a y --yes -K [-k n] {vg_name}/{mangle_lv_name}",
    ],
    # another method returns the options
    "os-brick-7.1.1 os_brick/initiator/connectors/rbd.py:220": [
        "rbd map {volume} --pool {pool} [--id {user}] [--mon_host {monitors}] [--conf {conf}]",
    ],
    "neutron-29.0.0 neutron/agent/linux/iptables_manager.py:484": [
        "(netns {namespace}) iptables-save -t {table}",
        "iptables-save -t {table}",
    ],
    # a list of pairs that another method returns
    "neutron-29.0.0 neutron/agent/linux/iptables_manager.py:794": [
        "(netns {namespace}) {iptables|ip6tables} -t {table} -L {name} -n -v -x"
        " -w {xlock_wait_time} [-Z]",
        "{iptables|ip6tables} -t {table} -L {name} -n -v -x -w {xlock_wait_time} [-Z]",
    ],
    "neutron-29.0.0 neutron/agent/l3/ha_router.py:76": [
        "(netns {name}) sysctl -w net.ipv6.conf.all.addr_gen_mode=1",
    ],
    "neutron-29.0.0 neutron/cmd/ipset_cleanup.py:45": ["{iptables-save|ip6tables-save}"],
}


@pytest.mark.parametrize(("place", "expected"), BY_HAND.items(), ids=BY_HAND)
def test_sites_that_were_read_by_hand(place: str, expected: list[str]) -> None:
    name, _, where = place.partition(" ")
    (site,) = (each for each in found_in(name).sites if place_of(each, name) == where)
    assert [template_text(each) for each in site.templates] == expected


def place_of(site: Site, name: str) -> str:
    return f"{Path(site.span.file).relative_to(SOURCES / name)}:{site.span.line}"


REASONS: Final = {
    # "a configured command that is split at run time"
    "manila-23.0.1 manila/data/manager.py:581": (Reason.SPLIT,),
    "nova-15.1.5 nova/virt/disk/api.py:113": (Reason.SPLIT,),
    # "may go to another host"
    "manila-23.0.1 manila/share/drivers/zfsonlinux/driver.py:284": (Reason.REMOTE,),
    # output of a command becomes words of another
    "nova-15.1.5 nova/network/linux_net.py:823": (Reason.FREE_WORDS,),
    "cinder-29.0.0 cinder/brick/local_dev/lvm.py:152": (Reason.REASSIGNED,),
    "cinder-29.0.0 cinder/image/image_utils.py:215": (Reason.OPTIONS,),
    "os-brick-7.1.1 os_brick/initiator/connectors/nvmeof.py:1283": (Reason.WRAPPER,),
    "neutron-29.0.0 neutron/agent/common/async_process.py:170": (
        Reason.FREE_WORDS,
        Reason.PROCESS,
    ),
}


@pytest.mark.parametrize(("place", "reasons"), REASONS.items(), ids=REASONS)
def test_reasons_that_were_read_by_hand(place: str, reasons: tuple[Reason, ...]) -> None:
    name, _, where = place.partition(" ")
    (site,) = (each for each in found_in(name).sites if place_of(each, name) == where)
    assert site.reasons == reasons
    assert not site.typable


GIVEN: Final[dict[str, dict[str, int | str]]] = {
    "os-brick-7.1.1": {
        "ISCSIConnector._run_iscsiadm": 6,
        "ISCSIConnector._run_iscsiadm_bare": 7,
        "ISCSIConnector._run_multipath": "nothing calls ISCSIConnector._run_multipath",
        "NVMeOFConnector.run_mdadm": 5,
        "NVMeOFConnector.run_nvme_cli": 2,
        "LVM._run_lvm_command": 6,
        "RemoteFsClient._do_mount": "nothing calls RemoteFsClient.mount",
        "VZStorageRemoteFSClient._do_mount": "nothing calls VZStorageRemoteFSClient._do_mount",
        "execute": "options",
    },
    "cinder-29.0.0": {
        "LVM._run_lvm_command": 10,
        "ISCSIDriver._run_iscsiadm": "nothing calls ISCSIDriver._run_iscsiadm",
        "_copy_volume_with_path": "volume_utils.py:628 gives it is not known (free-words)",
    },
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_wrappers_own_calls_are_given(name: str) -> None:
    """How many callers each has; or why they are not all known."""
    own = {site.function: site.given for site in found_in(name).sites if site.given is not None}
    assert own.keys() == GIVEN[name].keys()
    for function, expected in GIVEN[name].items():
        given = own[function]
        if isinstance(expected, int):
            assert (given.why, len(given.callers)) == ("", expected), function
        else:
            assert given.why.endswith(expected), function
            assert given.templates == ()


@each_project
def test_the_page_has_these_figures(name: str) -> None:
    found = found_in(name)
    direct = [site for site in found.sites if site.direct]
    through = [site for site in found.sites if site.via]
    figures = [
        found.files,
        len(direct),
        sum(site.resolved for site in direct),
        sum(site.typable for site in direct),
        sum(site.checkable for site in direct),
        len(through),
        sum(site.resolved for site in through),
        sum(site.resolved and site.covered for site in through),
    ]
    row = f"| {name} | {' | '.join(map(str, figures))} |"
    assert row in (PROJECT / "docs" / "callsites.md").read_text().splitlines()


def test_the_page_has_every_reason() -> None:
    lines = (PROJECT / "docs" / "callsites.md").read_text().splitlines()
    for code, each in EXPLAINED.items():
        assert f"| `{code}` | {each.why} | {each.advice} |" in lines
