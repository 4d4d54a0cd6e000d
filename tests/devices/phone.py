"""What is behind the tests' adbd: the arm64 root, with a phone's folders and programs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

LITTLE_KHZ, BIG_KHZ = 1_803_000, 2_850_000
CORES = os.cpu_count() or 1
BIG = CORES // 2
"""Number of the first core that is said to be big."""

ENTER = """
mount -t proc proc "$1/proc" && mount --bind "$1/cpuinfo-cortex-a76" "$1/proc/cpuinfo" &&
mount --rbind /dev "$1/dev" && mount --rbind "$2/data" "$1/data" &&
mount --bind "$2/sys" "$1/sys" && mount --bind "$2/system" "$1/system" || exit 46
root=$1
shift 2
exec chroot "$root" "$@"
"""

PROGRAMS = {
    "getprop": """#!/bin/sh
case "$1" in
ro.product.manufacturer) echo Stand;; ro.product.model) echo In;;
ro.soc.manufacturer) echo Google;; ro.soc.model) echo Zuma;;
ro.build.version.release) echo 14;; ro.build.version.sdk) echo 34;;
esac
""",
    "dumpsys": '#!/bin/sh\ncat "/data/dump-$1"\n',
    "settings": "#!/bin/sh\necho 0\n",
    "run-as": '#!/bin/sh\necho "$1" >> /data/local/tmp/ran-as\nshift\nexec "$@"\n',
    "taskset": """#!/usr/bin/python3
import os, sys
mask = int(sys.argv[1], 16)
os.sched_setaffinity(0, {core for core in range(64) if mask >> core & 1})
os.execvp(sys.argv[2], sys.argv[2:])
""",
}
"""Of Android's programs those that Debian has not; they print as Android's do."""

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 67
  scale: 100
  voltage: 3964
  temperature: 337
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=99.0, mType=0, mName=BIG, mStatus=3}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue=47.5, mType=0, mName=BIG, mStatus=0}}
\tTemperature{{mValue=33.7, mType=2, mName=battery, mStatus=0}}
\tTemperature{{mValue=4200.0, mType=6, mName=vbat, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=88, mType=2, mName=cpu}}
"""


class Phone:
    """The folders of a phone in `folder`, and what its shell runs."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.data = folder / "data"
        termux = self.data / "data/com.termux/files"
        programs = folder / "system/bin"
        for made in (self.data / "local/tmp", termux / "home", termux / "usr/bin", programs):
            made.mkdir(parents=True)
        for tool in (*(root / "bin").iterdir(), *(root / "usr/bin").iterdir()):
            to = Path("/") / tool.relative_to(root)
            (termux / "usr/bin" / tool.name).symlink_to(to)
        for name, text in PROGRAMS.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.heat(0)
        (self.data / "dump-battery").write_text(BATTERY)
        for core in range(CORES):
            frequency = folder / f"sys/devices/system/cpu/cpu{core}/cpufreq"
            frequency.mkdir(parents=True)
            khz = BIG_KHZ if core >= BIG else LITTLE_KHZ
            (frequency / "cpuinfo_max_freq").write_text(f"{khz}\n")
            (frequency / "scaling_cur_freq").write_text(f"{khz // 2}\n")
            (frequency / "scaling_governor").write_text("schedutil\n")
        for name in ("data", "system"):
            (root / name).mkdir(exist_ok=True)

    def heat(self, status: int) -> None:
        """Android's thermal status from now on."""
        (self.data / "dump-thermalservice").write_text(THERMAL.format(status=status))

    def shell(self, line: str) -> list[str]:
        """The command that runs a line in the phone's shell, as arm64."""
        inside = [
            "PATH=/system/bin:/usr/bin:/bin:/usr/sbin",
            "HOME=/",
            "LANG=C.UTF-8",
            "QEMU_CPU=cortex-a76",
        ]
        alone = ["unshare", "--mount", "--propagation", "private"]
        told = ["sh", "-c", ENTER, "sh", str(self.root), str(self.folder)]
        return ["env", "-i", *inside, *alone, *told, "sh", "-c", line]

    def started(self) -> list[str]:
        """A line for each start of benchmark_model: its cores and the names of its flags."""
        log = self.data / "local/tmp/started"
        return log.read_text().splitlines() if log.exists() else []

    def running(self) -> list[str]:
        """What still runs there of benchmark_model."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            line = shlex.join(word.decode("utf-8", "replace") for word in words)
            if "--graph=" in line and "python3" in line:
                found.append(line)
        return found
