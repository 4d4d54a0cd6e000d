"""What is run in a phone's shell; see `scripts` for the rules. The tools are those of Android's
toybox, which every phone has since Android 7.
"""

from __future__ import annotations

from edgekd.devices.scripts import BEGIN, NO_FOLDER, NOT_WHOLE, NOT_WRITTEN

SECTION = "@edgekd-"
"""Begins a line that names what follows, in what `FACTS` and `STATE` print."""

# Which phone it is. Nothing of it must succeed.
FACTS = """
for name in ro.product.manufacturer ro.product.model ro.soc.manufacturer ro.soc.model \\
  ro.build.version.release ro.build.version.sdk; do
  echo "@edgekd-$name"; getprop "$name"
done
echo "@edgekd-kernel"; uname -rm
echo "@edgekd-cpuinfo"; cat /proc/cpuinfo
echo "@edgekd-memory"; read -r line < /proc/meminfo; echo "$line"
echo "@edgekd-cores"; nproc
echo "@edgekd-clocks"
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  read -r khz < "$core/cpufreq/cpuinfo_max_freq" && echo "${core##*/cpu} $khz"
done
true
"""

# What changes while it measures.
STATE = """
echo "@edgekd-thermal"; dumpsys thermalservice
echo "@edgekd-battery"; dumpsys battery
echo "@edgekd-saver"; settings get global low_power
echo "@edgekd-load"; cat /proc/loadavg
echo "@edgekd-zones"; cat /sys/class/thermal/thermal_zone*/temp
echo "@edgekd-clocks"
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  khz= governor=
  read -r khz < "$core/cpufreq/scaling_cur_freq"
  read -r governor < "$core/cpufreq/scaling_governor"
  echo "${core##*/cpu} $khz $governor"
done
true
"""

# folder: makes it, drops what was not used for a month or was left behind. Prints the free octets.
CONNECT = (
    BEGIN
    + f"""umask 022
mkdir -p "$1/files" && cd "$1" || exit {NO_FOLDER}
find files -type f -mtime +30 -exec rm -f {{}} + 2>/dev/null
find files -type f -name "*.part" -mtime +1 -exec rm -f {{}} + 2>/dev/null
stat -f -c "%a %S" . || echo 0 0
"""
)

# folder, name, sha256, what adb pushed: takes it over if it is whole.
SETTLE = (
    BEGIN
    + f"""cd "$1/files" || exit {NO_FOLDER}
sum=$(sha256sum "$4") || exit {NOT_WRITTEN}
if [ "${{sum%% *}}" != "$3" ]; then rm -f "$4"; exit {NOT_WHOLE}; fi
chmod 755 "$4" && mv "$4" "$2" || exit {NOT_WRITTEN}
"""
)

# folder, a program and its arguments: runs it until it ends or stdin does, which it does when the
# way to this machine is gone.
RUN = (
    BEGIN
    + f"""cd "$1" || exit {NO_FOLDER}
shift
exec 3<&0
"$@" 3<&- </dev/null 2>&1 &
program=$!
(cat <&3; kill -9 $program) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $program
code=$?
kill $watch 2>/dev/null
exit $code
"""
)
