# Shared by the scripts of this folder; sourced by bash, from the root of the checkout.

say() { printf 'tapover: %s\n' "$*" >&2; }

# fail MESSAGE [COMMAND]: one clear line, the command that mends it, and no traceback.
fail() {
    say "$1"
    if [[ -n ${2:-} ]]; then printf '    %s\n' "$2" >&2; fi
    exit 1
}

# Package, and why: printed to whoever is asked for a password.
DEBIAN_PARTS=(
    "pcscd|the PC/SC service that talks to card readers"
    "vsmartcard-vpcd|the virtual card reader that tests and the demo tap on"
    "libpcsclite-dev|headers to compile pyscard, which has no wheel for Linux"
    "gcc|compiles pyscard"
    "libc6-dev|headers to compile pyscard"
    "python3-dev|headers to compile pyscard"
    "python3-venv|makes .venv"
    "pcsc-tools|shows what a reader sees (pcsc_scan)"
    "opensc|foreign card software that the virtual card is tested with"
    "opensc-pkcs11|foreign card software that the virtual card is tested with"
    "yubico-piv-tool|foreign card software that the virtual card is tested with"
    "libpam-pkcs11|smartcard sign-on of today, which the benchmarks run beside ours"
    "libpam-p11|smartcard sign-on of today, which the benchmarks run beside ours"
    "pamtester|runs the two above without a login screen"
    "softhsm2|a software token for tests of keys in hardware"
    "libtss2-dev|headers to compile tpm2-pytss, for terminals with a TPM"
    "pkg-config|finds those headers"
    "swtpm|a TPM in software for tests of keys in hardware"
    "systemd|looks through the units that we write, in tests (it need not run)"
    "mosquitto|the MQTT broker (tests and demo start their own, never Debian's service)"
    "mosquitto-clients|looks at the broker's messages by hand and in tests"
    "openssl|checks our certificates with foreign software"
    "faketime|runs a daemon with a wrong clock in tests"
    "postgresql|the other database that the gateway may keep its log in (benchmarks start their own)"
    "strace|counts the flushes of the journal in tests"
    "chromium|the browser in which tests and benchmarks look at the kiosk's page"
    "npm|brings the pages' style and what checks their accessibility (another npm serves as well)"
)

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Node's own packages bring an npm, and cannot stand beside Debian's.
is_there() { is_installed "$1" || { [[ $1 == npm ]] && command -v npm >/dev/null; }; }

install_command() {
    local sudo=""
    if [[ $(id -u) -ne 0 ]]; then sudo="sudo "; fi
    echo "${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends $*"
}

install_debian_parts() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "this is not Debian: looking for nothing, installing nothing. Needed:" \
            "${DEBIAN_PARTS[*]%%|*}"
        return
    fi
    local entry missing=()
    for entry in "${DEBIAN_PARTS[@]}"; do
        if ! is_there "${entry%%|*}"; then missing+=("${entry%%|*}"); fi
    done
    if [[ ${#missing[@]} -eq 0 ]]; then return; fi

    say "These Debian packages are needed and missing:"
    for entry in "${DEBIAN_PARTS[@]}"; do
        if [[ " ${missing[*]} " == *" ${entry%%|*} "* ]]; then
            printf '    %-20s %s\n' "${entry%%|*}" "${entry#*|}" >&2
        fi
    done
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            fail "you are not root and there is no sudo. Ask somebody who is root to run:" \
                "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        fi
        say "Installing them needs root, so sudo may ask for your password."
        as_root=(sudo)
    fi
    # A fresh machine has no package lists, or lists too old to install from.
    "${as_root[@]}" apt-get update -qq </dev/null ||
        fail "apt-get update failed (its own words are above). When that is mended:" \
            "$(install_command "${missing[@]}")"
    # No service is started by us: packages start what Debian's policy says they start.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" </dev/null >&2 ||
        fail "apt-get install failed (its own words are above). When that is mended:" \
            "$(install_command "${missing[@]}")"
}

# PYTHON if that is set, else the one that .venv was made with, else the first of 3.11 or later
# that works and has what we need.
choose_python() {
    local candidate known=""
    if [[ -x .venv/bin/python ]]; then
        known=$(.venv/bin/python -c 'import sys; print(sys._base_executable)' 2>/dev/null || true)
    fi
    for candidate in ${PYTHON:-$known python3.11 python3.13 python3.12 python3}; do
        if "$candidate" -c 'import sys, ssl, sqlite3, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    if [[ -n ${PYTHON:-} ]]; then
        fail "PYTHON=$PYTHON does not run, is older than 3.11, or lacks ssl, sqlite3 or venv."
    fi
    fail "no Python 3.11 or later with ssl, sqlite3 and venv was found. On Debian 12:" \
        "$(install_command python3 python3-venv)"
}

interpreter_identity() { "$1" -c 'import os, sys; print(sys.version, sys.base_prefix, os.getcwd())'; }

# What .venv was made from: the interpreter, the locks, and our own metadata.
setup_fingerprint() {
    {
        interpreter_identity "$1"
        cat scripts/setup requirements/build.txt requirements/dev.txt package-lock.json .npmrc
        # Dependencies, commands and packages are read when installing; the rest is not.
        "$1" -c 'import tomllib; t = tomllib.load(open("pyproject.toml", "rb"))
print(t["project"], t["build-system"], t["tool"]["setuptools"])'
    } | sha256sum | cut -d' ' -f1
}

# What the kiosk's page is built from.
page_fingerprint() {
    {
        cat package.json package-lock.json scripts/build-page scripts/page.mjs
        find firmware_py/kiosk/page \( -name built -o -name 'building-*' -o -name en.json \) -prune \
            -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}
