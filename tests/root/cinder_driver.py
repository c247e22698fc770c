# mypy: disable-error-code="import-not-found,import-untyped"
"""What cinder does as root, by its own code; run as the service's user, imports nothing of ours.

Arguments: rootwrap.conf, a block device, a file of root's, a name for a volume group.
"""

import shlex
import sys
from collections.abc import Callable

import cinder.common.config  # registers rootwrap_config
import cinder.privsep.lvm
from cinder import utils
from cinder.brick.local_dev import lvm
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_privsep import priv_context


def say(text: str) -> None:
    """One line."""
    sys.stdout.write(f"{text}\n")


def attempt(call: Callable[..., object], *words: object, **options: object) -> None:
    """Print what a call gives, or what its error says."""
    try:
        say(repr(call(*words, **options)))
    except processutils.ProcessExecutionError as error:
        last = (error.stderr or "").strip().splitlines()[-1]
        say(f"exit {error.exit_code} {last}")


def main(config: str, device: str, file: str, group: str) -> None:
    """Do it as cinder-volume does."""
    cfg.CONF([], project="cinder", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("rootwrap_config", config)
    helper = utils.get_root_helper()
    priv_context.init(root_helper=shlex.split(helper))  # as cinder.cmd.volume
    say(helper)
    attempt(utils.execute, "stat", "-c", "%u", "/root", run_as_root=True)
    attempt(utils.execute, "chmod", "640", file, run_as_root=True)
    attempt(utils.execute, "dd", "of=" + file, "status=none", process_input="x", run_as_root=True)
    attempt(utils.execute, "cp", file, "/no/such/folder", run_as_root=True)
    attempt(utils.execute, "reboot", run_as_root=True)
    attempt(utils.execute, "mmlsfs", run_as_root=True)
    attempt(lvm.LVM.get_lvm_version, helper)
    attempt(cinder.privsep.lvm.create_vg, group, [device])  # privsep-helper, through rootwrap
    attempt(lvm.LVM.get_all_physical_volumes, helper, group)
    attempt(lambda: [found["name"] for found in lvm.LVM.get_all_volume_groups(helper, group)])
    attempt(lambda: lvm.LVM(group, helper).get_volumes())


if __name__ == "__main__":
    main(*sys.argv[1:])
