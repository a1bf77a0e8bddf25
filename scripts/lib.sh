# What the scripts share. Each sources it first: `. "$(dirname "$0")/lib.sh"`. Plain bash, since
# scripts/setup runs where nothing is installed yet. It changes no directory: a script that works in
# the checkout says `cd "$checkout"`.
# shellcheck shell=bash disable=SC2034

# The checkout that the script belongs to.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What messages begin with.
self=${0##*/}
# --no-setup makes it 0.
setup=1

# TEXT [STATUS]
die() {
  echo "$self: $1" >&2
  exit "${2:-1}"
}

# As in sysexits.h: the command line is wrong.
usage_error() { die "$1" 64; }

# The script's own `usage` says which there are.
unknown_argument() {
  usage >&2
  usage_error "unknown argument \"$1\""
}

# OPTION VALUE…, as they stand on the command line.
needs_value() { [ -n "${2-}" ] || usage_error "$1 needs a value; see --help"; }

# For a script that is told everything by its environment.
takes_only_help() {
  case ${1-} in
    '') ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 64 ;;
  esac
}

# WHY [COMMAND]
must_be_root() { [ "$(id -u)" = 0 ] || die "must be root, $1; try sudo scripts/${2-$self}" 77; }

# Of scripts/setup, unless --no-setup was said; options are passed on.
set_up() { [ "$setup" = 0 ] || "$checkout/scripts/setup" "$@"; }

needs_node_modules() {
  [ -x "$checkout/node_modules/.bin/tsc" ] || die "node_modules is missing or not whole; run scripts/setup" 69
}
