"""Show the main job on this machine: convert the sample service, then call what came out.

As root: the wheel is installed for a new unprivileged user, who starts the daemon through real
sudo; everything is removed in the end. Without root: the daemon is a forked child that holds no
capabilities, by configuration, for there are none to hold.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools import stage
from tools.modules import PROJECT

IMAGES: Final = stage.SAMPLE_FOLDERS[1] / "images"

AS_USER: Final = """
import os, subprocess, sys
from privileged import process, volume

def show(text):
    print(">>>", text)
    try:
        value = eval(text)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    else:
        if value is not None:
            print(value)

def caps_show():
    service = "privileged.process_context"
    print(f"$ privmigrate caps show --service {service}", flush=True)
    subprocess.run([sys.argv[1], "caps", "show", "--service", service], check=True)

print(f"$ id -un\\n{sys.argv[2]}\\n$ python")
for text in sys.argv[3:]:
    show(text)
    sys.stdout.flush()
caps_show()
"""

WITHOUT_ROOT: Final = """
import sys
from oslo_config import cfg
cfg.CONF(["--config-file", sys.argv[1]], project="sample")
sys.path.insert(0, sys.argv[2])
import privileged
from privmigrate.privsep import priv_context
for context in vars(privileged).values():
    if isinstance(context, priv_context.PrivContext):
        context.start(priv_context.Method.FORK)
from privileged import volume
for text in sys.argv[3:]:
    print(">>>", text)
    try:
        print(eval(text))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""


def say(text: str) -> None:
    """Say what comes next."""
    print(f"\n== {text}", flush=True)


def definition(module: str, name: str) -> str:
    """One generated function, with what stands above it."""
    start = module.index(f"def {name}(")
    start = module.rindex("\n\n\n", 0, start) + 3
    end = module.find("\n\n\n", start)
    return module[start : end if end >= 0 else len(module)].rstrip()


def as_root() -> int:
    """Install, convert, and call as a service would."""
    user = f"pm-demo-{os.getpid()}"
    with stage.sample_folders(), stage.stage(user) as installed:
        say(f"privmigrate is installed from its wheel in {installed.root}")
        say("privmigrate convert filters/sample/rootwrap.d")
        print(installed.convert(stage.SAMPLE / "rootwrap.d"), end="")
        module = (installed.site_packages / "privileged" / "volume.py").read_text()
        say("one of the generated functions")
        print(definition(module, "chmod_image"))
        image = IMAGES / "disk.img"
        image.touch(mode=0o600)
        rules = stage.helper_rules(user, installed.helper, r"--privsep_context privileged\.[a-z_]+")
        say("all that the service's user may do through sudo")
        print(rules, end="")
        with stage.sudoers(user, rules):
            say(f"and what it may do through the daemon ({image} is root's, mode 0600)")
            calls = (
                f'volume.chmod_image("0640", "{image}")',
                f'oct(os.stat("{image}").st_mode)',
                f'volume.chmod_image("4755", "{image}")',
                'volume.chmod_image("0640", "/etc/shadow")',
                'process.guest_identity("-u")',
            )
            command = installed.python.with_name("privmigrate")
            shown = installed.run(installed.python, "-c", AS_USER, command, user, *calls)
            print(shown.stdout, end="")
            print(shown.stderr, end="", file=sys.stderr)
    say("everything that this made outside the checkout is removed again")
    return shown.returncode


def without_root() -> int:
    """Convert, and call a daemon that is a forked child without capabilities."""
    with tempfile.TemporaryDirectory(prefix="privmigrate-demo-") as folder:
        say("privmigrate convert filters/sample/rootwrap.d")
        convert = [sys.executable, "-m", "privmigrate", "convert", "--output", folder]
        subprocess.run([*convert, str(stage.SAMPLE / "rootwrap.d")], cwd=PROJECT, check=True)
        package = Path(folder) / "privileged"
        say("one of the generated functions")
        print(definition((package / "volume.py").read_text(), "find_inum"))
        contexts = (package / "__init__.py").read_text()
        sections = re.findall(r'cfg_section="(\w+)"', contexts)
        config = Path(folder) / "sample.conf"
        config.write_text("".join(f"[{name}]\ncapabilities =\n" for name in sections))
        say("without root the daemon is a forked child and holds no capabilities")
        inode = Path("/usr").stat().st_ino
        calls = (
            f'volume.find_inum("/usr", maxdepth=0, inum={inode})',
            'volume.find_inum("/usr", maxdepth=0, inum="1 -delete")',
            'volume.find_inum("-delete", maxdepth=0, inum=1)',
        )
        command = [sys.executable, "-c", WITHOUT_ROOT, str(config), folder, *calls]
        return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> int:
    """Choose by who we are."""
    if os.geteuid() == 0:
        return as_root()
    print("not root: no real user and no sudo here; run tools/demo as root to see those")
    return without_root()


if __name__ == "__main__":
    sys.exit(main())
