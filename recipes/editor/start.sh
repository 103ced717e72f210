#!/bin/sh
# Starts the editor as the person signed in:  start.sh SOCKET
# Whoever reaches that socket has been let in by the gateway, so the editor asks for no password.
here=$(dirname -- "$0")

# Where its processes talk to each other, and what nobody clears away: in /tmp only without a better place. Beside our
# own socket it goes with the server.
: "${XDG_RUNTIME_DIR:=$(dirname -- "$1")}"
export XDG_RUNTIME_DIR

# The defaults of this machine, once: they are the person's to change, as "Remote" settings. The editor starts
# without them as well, so a home directory that is full does no harm.
machine=${XDG_DATA_HOME:-$HOME/.local/share}/code-server/Machine
if [ ! -e "$machine/settings.json" ]; then
	{ mkdir -p -- "$machine" && cp -- "$here/settings.json" "$machine/settings.json"; } || true
fi

exec "$here/node" "$here/node_modules/code-server/out/node/entry.js" \
	--socket "$1" --socket-mode 600 --auth none --config /dev/null \
	--disable-telemetry --disable-update-check --disable-proxy --disable-getting-started-override
