"""What is run in a device's shell: POSIX `sh`, each with its arguments as $1, $2, ...

Nothing is ever put into a script's text: whatever comes from a user or a file is an argument, which
the shell does not read as program. They hold no single quotes, so that any login shell passes them
on whole. Each begins with `BEGIN`, so that what a login shell prints is not taken for an answer.
"""

from __future__ import annotations

MARK = b"edgekd-begins\n"
END = "edgekd-ends\n"
"""What a way to a device may add to stderr, where its client's exit code does not tell whether a
script ended or the way did."""
BEGIN = 'printf "edgekd-begins\\n"\n'

NO_FOLDER, NO_PYTHON, NOT_WRITTEN, NOT_WHOLE, CUT_OFF, NO_VENV = 40, 41, 42, 43, 44, 45
"""Exit codes of what is explained to the user; the agent's own are 0 to 2."""

FACTS = """
import importlib.util, json, os, platform, shutil, sys
print(json.dumps({
    "folder": os.getcwd(),
    "job": sys.argv[1],
    "python": list(sys.version_info[:3]),
    "executable": sys.executable,
    "machine": platform.machine(),
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "libc": platform.libc_ver(),
    "free_bytes": shutil.disk_usage(".").free,
    "modules": [name for name in ("numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime")
                if importlib.util.find_spec(name)],
}))
"""
"""Python: what decides which packages a device can have, and which it has."""

# folder, python, facts: makes the folders, drops what was not used for a month or was left behind.
# Makes a folder for the jobs of this connection. Prints the facts.
CONNECT = (
    BEGIN
    + f"""umask 077
cd || exit {NO_FOLDER}
mkdir -p "$1/files" "$1/jobs" && cd "$1" || exit {NO_FOLDER}
find files -type f -mtime +30 -exec rm -f {{}} + 2>/dev/null
find jobs -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {{}} + 2>/dev/null
command -v "$2" >/dev/null || exit {NO_PYTHON}
job=$(mktemp -d "$PWD/jobs/job-XXXXXX") || exit {NOT_WRITTEN}
exec "$2" -c "$3" "$job"
"""
)

# folder, then names of files: for each prints "whole", or how many octets have come so far.
HAVE = (
    BEGIN
    + f"""cd "$1/files" || exit {NO_FOLDER}
shift
for name do
  if [ -f "$name" ]; then touch "$name"; echo whole
  elif [ -f "$name.part" ]; then wc -c < "$name.part"
  else echo 0; fi
done
"""
)

# folder, name, sha256, size, "new" or "go on": appends stdin. What is cut off stays, to go on.
APPEND = (
    BEGIN
    + f"""umask 077
cd "$1/files" || exit {NO_FOLDER}
if [ "$5" = new ]; then rm -f "$2.part"; fi
cat >> "$2.part" || exit {NOT_WRITTEN}
[ "$(wc -c < "$2.part")" -eq "$4" ] || exit {CUT_OFF}
sum=$(sha256sum "$2.part") || exit {NOT_WRITTEN}
if [ "${{sum%% *}}" != "$3" ]; then rm -f "$2.part"; exit {NOT_WHOLE}; fi
mv "$2.part" "$2"
"""
)

# job folder, python, attached.py, seconds, then the agent's command: the job is the first line of
# stdin, and the agent ends when the rest of stdin does. Prints the result.
RUN = (
    BEGIN
    + f"""umask 077
cd "$1" || exit {NO_FOLDER}
IFS= read -r job || exit {CUT_OFF}
printf "%s\\n" "$job" > job.json || exit {NOT_WRITTEN}
rm -f result.json
python=$2 attached=$3 seconds=$4
shift 4
"$python" "$attached" "$seconds" "$@" job.json result.json >&2
code=$?
if [ -f result.json ]; then cat result.json; fi
exit $code
"""
)

# job folder, name: prints a file that a job wrote, and removes it.
PULL = BEGIN + """cd "$1" && cat -- "$2" && rm -f -- "$2"\n"""

# job folder
REMOVE = BEGIN + """rm -rf -- "$1"\n"""

# environment's folder: is it whole?
READY = BEGIN + """[ -f "$1/ready" ]\n"""

# environment's folder, python, attached.py, seconds, requirements: pip from the internet.
INSTALL = (
    BEGIN
    + f"""umask 077
rm -rf "$1"
env=$1 python=$2 attached=$3 seconds=$4
shift 4
"$python" "$attached" "$seconds" "$python" -m venv "$env" >&2 || exit {NO_VENV}
"$python" "$attached" "$seconds" "$env/bin/python" -m pip install --quiet --no-cache-dir \\
  --disable-pip-version-check --retries 1 --timeout 15 --only-binary :all: -- "$@" >&2 || exit $?
touch "$env/ready"
"""
)

# environment's folder, python, attached.py, seconds, files' folder, number of wheels, then for each
# its name in the files' folder and its own name, then the requirements. The first wheel is pip's.
INSTALL_WHEELS = (
    BEGIN
    + f"""umask 077
rm -rf "$1"
env=$1 python=$2 attached=$3 seconds=$4 files=$5 count=$6
shift 6
"$python" "$attached" "$seconds" "$python" -m venv --without-pip "$env" >&2 || exit {NO_VENV}
mkdir "$env/wheels" || exit {NOT_WRITTEN}
pip=$2
while [ "$count" -gt 0 ]; do
  ln "$files/$1" "$env/wheels/$2" || exit {NOT_WRITTEN}
  shift 2
  count=$((count - 1))
done
"$python" "$attached" "$seconds" "$env/bin/python" "$env/wheels/$pip/pip" install --quiet \\
  --no-cache-dir --disable-pip-version-check --no-index --find-links "$env/wheels" -- "$@" >&2 \\
  || exit $?
rm -rf "$env/wheels"
touch "$env/ready"
"""
)
