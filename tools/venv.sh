# Sourced by demo.sh and test.sh: make or reuse the virtual environment .venv, with one extra installed.
# Sets $py to its interpreter.

use_venv() {
    extra=$1
    root=$(cd "$(dirname "$0")" && pwd)
    venv=${TAPEFLOW_VENV:-$root/.venv}
    py=$venv/bin/python
    if ! "$py" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        rm -rf "$venv"
        "$(find_python)" -m venv "$venv" || exit 1
    fi
    # Installing again takes seconds even when nothing has changed, so remember what was installed.
    want=$(cat "$root/setup.cfg" "$root/pyproject.toml" | cksum)
    stamp=$venv/installed-$extra
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        echo "installing tapeflow[$extra] into $venv"
        "$py" -m pip install --quiet --editable "$root[$extra]" || exit 1
        echo "$want" >"$stamp"
    fi
}

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "tapeflow needs CPython 3.11 or newer with pip; set PYTHON to one" >&2
    exit 1
}
