#!/bin/sh
# Prepares this machine and hands over to the program: sh tools/setup.sh VERB [ARGUMENT...]
#
#   up, down, purge, status    one-machine mode, in the virtual environment $VS_STATE/.venv (root, or through sudo)
#   test, bench                every test, the figures, in /var/cache/virtualserver/venv (root, or through sudo)
#   check, unit, soak, web     what needs no root, in .venv of this checkout
#
# Every step is skipped when its result is there, so a run after a failure goes on from where it stopped.
set -eu
umask 022
cd "$(dirname "$0")/.."

root=${VS_STATE:-/var/lib/virtualserver}
cache=/var/cache/virtualserver
lists=tools/debian-packages
log=${TMPDIR:-/tmp}/virtualserver-setup-$(id -u).log

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$1"
    exit 1
}

# run TITLE REMEDY COMMAND...: run one step, show what it does once it takes longer than two seconds.
run() {
    title=$1 remedy=$2 began=$(date +%s) shown=
    shift 2
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    trap 'kill "$child" 2>/dev/null; die "$title: interrupted; run the same command again to go on"' INT TERM
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.3
        seconds=$(($(date +%s) - began))
        last=$(tail -n 1 "$log" | tr -d '\r' | cut -c1-90)
        if [ "$seconds" -ge 2 ] && [ -t 2 ]; then
            printf '\r\033[K  %s … %s s  %s' "$title" "$seconds" "$last" >&2
        elif [ "$seconds" -ge 2 ] && [ "$((seconds / 10))" != "$shown" ]; then
            shown=$((seconds / 10))
            say "  $title … $seconds s  $last"
        fi
    done
    trap - INT TERM
    [ ! -t 2 ] || printf '\r\033[K' >&2
    if wait "$child"; then
        say "  $title: done ($(($(date +%s) - began)) s)"
    else
        tail -n 20 "$log" | sed 's/^/    /' >&2
        say "  $title: failed. $remedy"
        die "  The whole output: $log. Run the same command again afterwards: it goes on from this step."
    fi
}

# as_root VERB ARGUMENT...: come back through sudo unless we are root; what the caller chose for downloads comes along.
as_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || die "'$1' needs root: run it as root, or install sudo and allow it for $(id -un)."
    say "'$1' needs root; going on through sudo."
    set -- sh tools/setup.sh "$@"
    for name in VS_STATE VS_INSTANCE VS_CONTROLPLANE NO_COLOR TERM HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy \
        no_proxy SSL_CERT_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT GOPROXY GONOSUMDB GOFLAGS GOSUMDB GOGC GOMEMLIMIT; do
        eval "value=\${$name:-}"
        [ -z "$value" ] || set -- "$name=$value" "$@"
    done
    exec sudo env "$@"
}

is_debian() { [ -r /etc/os-release ] && grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release && command -v apt-get >/dev/null; }

# shellcheck disable=SC2086 # a list of files
wanted_packages() { sed -e 's/#.*//' -e '/^ *$/d' $lists | tr -d ' '; }

missing_packages() {
    for package in $(wanted_packages); do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
    done
}

# Only packages that are missing come in, so nothing that is installed changes its version for us.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086 # a list of names
    apt-get install -q -y --no-install-recommends --no-upgrade -o Dpkg::Use-Pty=0 $(missing_packages)
}

system_packages() {
    if ! is_debian; then
        say "  This is no Debian or Ubuntu, so nothing is installed (untested): needed are the programs of"
        die_unless_programs
        return
    fi
    [ -z "$(missing_packages)" ] || run "System packages" \
        "Look whether apt-get works by itself (apt-get update), and whether another one is running." apt_install
}

die_unless_programs() {
    wanted_packages | tr '\n' ' ' | fold -s -w 100 | sed 's/^/    /' >&2
    say ""
    command -v qemu-system-x86_64 >/dev/null || die "  qemu-system-x86_64 is missing: install the list with your package manager, then run this again."
}

# A Python of at least 3.11 with venv, whose own files every user may execute: components run under numeric users,
# and the first python3 on PATH may lie in somebody's home of mode 0700.
find_python() {
    for candidate in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 \
        /usr/local/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" - "$1" 2>/dev/null <<'PYTHON'; then
import ensurepip, os, sys, venv
path = os.path.realpath(sys.executable)
fit = sys.version_info >= (3, 11)
while sys.argv[1] == "shared" and path != "/":
    fit = fit and os.stat(path).st_mode & 0o001 == 0o001
    path = os.path.dirname(path)
sys.exit(not fit)
PYTHON
            command -v "$candidate"
            return
        fi
    done
    die "No Python of at least 3.11 with venv was found that every user may run. On Debian 12: apt-get install python3 python3-venv"
}

# environment FOLDER LOCK WHO: a virtual environment with exactly what the lock file names.
environment() {
    python=$(find_python "$3")
    stamp=$(sha256sum <"$2" | cut -c1-64)-$("$python" -c 'import sys; print(sys.version_info[:3])')
    [ "$(cat "$1/.lock-stamp" 2>/dev/null)" != "$stamp" ] || return 0
    run "Virtual environment $1" "Look whether Python packages can be downloaded from here (pip download click)." \
        make_environment "$1" "$2"
    printf '%s\n' "$stamp" >"$1/.lock-stamp"
}

# What runs from the environment goes on meanwhile, so it is changed in place where its Python still works.
make_environment() {
    mkdir -p "$(dirname "$1")"
    "$1/bin/python" -m pip --version 2>/dev/null || "$python" -m venv --clear "$1"
    "$1/bin/pip" install --disable-pip-version-check --no-input --progress-bar off --require-hashes -r "$2"
}

# pages FOLDER: the console's pages in FOLDER/web/dist, built when their sources have changed. It is built in a copy: a
# checkout may be somebody's whose files are not to become root's. Node comes from the machine, else from Python's registry.
pages() {
    sources=$(find web -type f ! -path '*/node_modules/*' ! -path '*/dist/*' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum | cut -c1-64)
    [ "$(cat "$1/web/dist/.stamp" 2>/dev/null)" != "$sources" ] || return 0
    if ! has_node; then
        environment "$1/node" requirements-web.lock own
        PATH=$1/node/bin:$PATH
    fi
    run "Console" "Look whether npm's packages can be downloaded from here (npm view yaml)." make_pages "$1/web"
    printf '%s\n' "$sources" >"$1/web/dist/.stamp"
}

has_node() { command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 22)' 2>/dev/null; }

make_pages() {
    mkdir -p "$1"
    tar -c -C web --exclude=./node_modules --exclude=./dist . | tar -x -C "$1"
    npm ci --prefix "$1" && npm run build --prefix "$1"
}

# install_package FOLDER CACHE: this checkout, with the console's pages built below CACHE, into the environment, not editable, when it has changed.
install_package() {
    pages "$2"
    stamp=$(find src pyproject.toml hatch_build.py examples tools/controlplane "$2/web/dist" -type f ! -name '*.pyc' \
        ! -path '*/bin/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
    [ "$(cat "$1/.source-stamp" 2>/dev/null)" != "$stamp" ] || return 0
    run "Program" "The package could not be built; is the checkout whole (git status)?" \
        env VS_PAGES="$2/web/dist" "$1/bin/pip" install --disable-pip-version-check --no-input --no-deps --no-build-isolation --force-reinstall .
    printf '%s\n' "$stamp" >"$1/.source-stamp"
}

# What the first run does, before it does anything. Sizes and times: docs/measurements.md.
announce_up() {
    packages=$(if is_debian; then missing_packages; fi)
    [ -z "$packages" ] && [ -e "$root/.venv/.source-stamp" ] && return 0
    say "The first run installs, builds and downloads; nothing is asked. A later run takes seconds while all runs, and after"
    say "'make down' or a reboot as long as the guests take to boot. What the first run does:"
    [ -z "$packages" ] || say "  system packages    $(echo "$packages" | wc -w) missing: $packages"
    [ -z "$packages" ] || say "                     with all that they need: at most 90 MB to download, 350 MB on disk, 1 to 3 minutes"
    say "  Python packages    about 15 MB to download, 90 MB in $root/.venv, half a minute"
    [ -n "${VS_CONTROLPLANE:-}" ] || [ -n "$(find "$root/.controlplane" -name kubectl 2>/dev/null)" ] || {
        say "  control plane      built with Go in 5 to 10 minutes: about 200 MB of modules to download (70 MB more"
        say "                     where Go is missing); 0.3 GB stay, and 4.5 GB of caches that may be deleted"
    }
    say "  console            its pages, built in half a minute: about 70 MB to download (60 MB more where Node is missing)"
    say "  guest image        about 130 MB of packages to download, an image of 0.4 GB, about 2 minutes"
    say "  then it starts everything in the background, and a first server: 1 to 2 minutes without KVM"
}

prepare_product() {
    system_packages
    environment "$root/.venv" requirements.lock shared
    install_package "$root/.venv" "$root/.console"
}

# The tests get everything of their own: nothing here uses, or is used by, what `up` made.
prepare_tests() {
    lists="tools/debian-packages tools/debian-packages-test"
    system_packages
    environment "$cache/venv" requirements-dev.lock shared
    install_package "$cache/venv" "$cache/.console"
}

prepare_checkout() {
    environment .venv requirements-dev.lock own
}

verb=${1:-}
[ -z "$verb" ] || shift
case $verb in
up)
    as_root up "$@"
    announce_up
    prepare_product
    VS_FROM_MAKE=1 exec "$root/.venv/bin/vs" up "$@"
    ;;
down | purge | status)
    [ -x "$root/.venv/bin/vs" ] || die "Nothing is installed under $root: there is nothing to do."
    as_root "$verb" "$@"
    [ "$verb" = purge ] && exec "$root/.venv/bin/vs" down --purge "$@"
    exec "$root/.venv/bin/vs" "$verb" "$@"
    ;;
test | bench)
    as_root "$verb" "$@"
    prepare_tests
    exec "$cache/venv/bin/python" "tools/run_$verb.py" "$@"
    ;;
web)
    prepare_checkout
    PATH=$PWD/.venv/bin:$PATH
    cd web
    run "Packages" "Look whether npm's packages can be downloaded from here (npm view yaml)." npm ci
    run "Console" "What the compiler says is above." npm run build
    exec npm test
    ;;
check)
    prepare_checkout
    exec .venv/bin/python tools/run_test.py --checks "$@"
    ;;
unit)
    prepare_checkout
    PYTHONPATH=src exec .venv/bin/python -m pytest tests/unit -q "$@"
    ;;
soak)
    prepare_checkout
    exec .venv/bin/python tools/run_soak.py "$@"
    ;;
*)
    die "usage: sh tools/setup.sh up|down|purge|status|test|bench|check|unit|soak|web [ARGUMENT...]"
    ;;
esac
