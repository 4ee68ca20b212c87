#!/bin/sh
# The whole product once: compile examples/agent.rules, start the broker, make one call that the rules
# allow and one that they do not, show what the audit trail says of both, stop the broker.
# Usage: examples/demo.sh BUILD-FOLDER   (`make demo` builds first and then runs this)
set -eu

build=$(cd "${1:?usage: examples/demo.sh BUILD-FOLDER}" && pwd)
examples=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
broker=

finish() {
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n$ %s\n' "$*"; }

# A home of its own: the rules' paths begin with $HOME, and the broker expands it when it starts.
chmod 700 "$scratch"
export HOME="$scratch" XDG_STATE_HOME="$scratch/state" XDG_CONFIG_HOME="$scratch/config" XDG_RUNTIME_DIR="$scratch"
mkdir -p "$HOME/work"
git init -q "$HOME/work"

compile() {
    say "sluicec agent.rules -o agent-broker"
    "$build/sluicec" "$1" -o "$scratch/agent-broker"
}
compile "$examples/agent.rules"
echo "$(wc -c <"$scratch/agent-broker") bytes, one static executable"

say "agent-broker check-host"
if ! "$scratch/agent-broker" check-host; then
    # Containers often forbid namespaces and mounts. A broker refuses to start without what its rules
    # ask for; here it shall show as much as can be had.
    printf '\nThis host lacks what is missing above: the demo goes on with confine = best-effort.\n'
    sed 's/^defaults:$/defaults:\n  confine = best-effort/' "$examples/agent.rules" >"$scratch/agent.rules"
    compile "$scratch/agent.rules"
fi

say "agent-broker serve &"
"$scratch/agent-broker" serve --socket "$scratch/agent.sock" --ready-fd 3 3>"$scratch/ready" &
broker=$!
until [ -s "$scratch/ready" ]; do   # one byte: it serves
    kill -0 "$broker" 2>/dev/null || { wait "$broker"; exit 1; }
    sleep 0.05
done
export SLUICE_SOCKET="$scratch/agent.sock"

say "sluicify git status --short --branch"
"$build/sluicify" git status --short --branch

say "sluicify git push --force origin main"
status=0
"$build/sluicify" git push --force origin main || status=$?
echo "exit status $status"

say "cat the manifest"
find "$scratch" -name '*.jsonl' -exec cat {} +

say "kill the broker"
kill "$broker"
wait "$broker" && echo "it ended with status 0"
broker=
