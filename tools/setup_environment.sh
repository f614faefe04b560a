# Sourced by tools/demo and tools/test with `root` set to the checkout: leaves a virtual environment in
# "$root/.venv" that holds what setup.cfg asks for. Does nothing when that is so already.
#
#   PYTHON                     the Python (3.10 or newer) to make the environment with; when .venv was made
#                              with another one, it is made anew
#   PIXELETHOGRAM_TORCH_INDEX  URL of the pip index to take PyTorch from, e.g. one of https://pytorch.org
#                              that has CPU or CUDA wheels; without it, the index pip uses for everything
#
# Everything here talks to stderr, so that the output of the program itself can be piped.

fail() {
    printf '%s\n' "$@" >&2
    exit 4
}

is_usable_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_usable_python "$PYTHON" && printf '%s\n' "$PYTHON" && return
        fail "PYTHON=$PYTHON cannot make the environment: $("$PYTHON" -V 2>&1 || true)" \
            "  why:   it is missing, older than 3.10, or lacks the modules venv and ensurepip" \
            "  do:    set PYTHON to another Python >= 3.10, or install python3-venv (Debian, Ubuntu)"
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        is_usable_python "$candidate" && printf '%s\n' "$candidate" && return
    done
    fail "no usable Python >= 3.10 found; python3 is: $(python3 -V 2>&1 || true)" \
        "  why:   it is missing, too old, or lacks the modules venv and ensurepip" \
        "  do:    install Python >= 3.10 (on Debian and Ubuntu also python3-venv)," \
        "         or name one: PYTHON=/path/to/python3 $0"
}

identity_of() {
    "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null
}

make_environment() {
    local python
    python=$(find_python) # a failure inside has told its reason and ends the script here (set -e)
    printf 'Making .venv with %s\n' "$("$python" -V)" >&2
    "$python" -m venv --clear "$root/.venv" >&2 || fail "could not make $root/.venv" \
        "  why:   the disk is full, or the folder cannot be written" \
        "  do:    make room, or clone to another place, then run the same command again"
}

needs_new_environment() {
    [ -x "$root/.venv/bin/python" ] || return 0
    [ -n "${PYTHON:-}" ] || return 1
    [ "$(identity_of "$PYTHON")" != "$(identity_of "$root/.venv/bin/python")" ]
}

pip_install() {
    "$root/.venv/bin/python" -m pip install --disable-pip-version-check "$@" </dev/null >&2 ||
        fail "" "Installing pixelethogram into $root/.venv failed; pip says why above." \
            "  why:   mostly no network, a full disk, or no PyTorch for this Python" \
            "  do:    check the connection and run the same command again; nothing is lost" \
            "         behind a mirror: PIP_INDEX_URL=https://… $0" \
            "         another Python:  PYTHON=python3.12 $0"
}

checksum() { # of all that decides what is installed; pyvenv.cfg names the Python
    {
        cat "$root/setup.cfg" "$root/pyproject.toml" "$root/.venv/pyvenv.cfg"
        printf '%s\n' "$root" "${PIXELETHOGRAM_TORCH_INDEX:-}"
    } | cksum
}

set_up() {
    local stamp="$root/.venv/pixelethogram.stamp"
    if needs_new_environment; then
        make_environment
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" = "$(checksum)" ]; then
        return
    fi
    rm -f "$stamp" # it comes back only after everything below has worked
    "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 || make_environment
    printf 'Installing pixelethogram and PyTorch into .venv (minutes, once)\n' >&2
    if [ -n "${PIXELETHOGRAM_TORCH_INDEX:-}" ]; then
        # both in one command: a torchvision made for another torch fails at import
        pip_install --upgrade --index-url "$PIXELETHOGRAM_TORCH_INDEX" torch torchvision
    fi
    pip_install --editable "$root[test]"
    checksum >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

set_up
