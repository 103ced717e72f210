"use strict";
// One shell in this window. Its number stands in the address, so that a reload finds it again.

const LIGHT = {
	background: "#ffffff", foreground: "#1b1b1f", cursor: "#1b1b1f", cursorAccent: "#ffffff", selectionBackground: "#b5d5ff",
	black: "#1b1b1f", red: "#b3261e", green: "#1d6b2c", yellow: "#7a5900", blue: "#0b57d0", magenta: "#8e24aa",
	cyan: "#006a70", white: "#6b6b73", brightBlack: "#55555c", brightRed: "#c5221f", brightGreen: "#137333",
	brightYellow: "#8a6100", brightBlue: "#1a5fd0", brightMagenta: "#9c27b0", brightCyan: "#00757c", brightWhite: "#44444a",
};
const DARK = {
	background: "#16181d", foreground: "#e3e3e8", cursor: "#e3e3e8", cursorAccent: "#16181d", selectionBackground: "#3b5378",
	black: "#3c4048", red: "#ff8a80", green: "#81c995", yellow: "#fdd663", blue: "#8ab4f8", magenta: "#d7aefb",
	cyan: "#78d9ec", white: "#e3e3e8", brightBlack: "#8f949e", brightRed: "#ffab9f", brightGreen: "#a8dab5",
	brightYellow: "#fde293", brightBlue: "#aecbfa", brightMagenta: "#e9d2fd", brightCyan: "#a1e4f2", brightWhite: "#ffffff",
};
const dark = matchMedia("(prefers-color-scheme: dark)");
const number = new URLSearchParams(location.search).get("shell");
const notice = document.getElementById("notice");
const terminal = new Terminal({
	fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
	fontSize: 15,
	scrollback: 10000,
	theme: dark.matches ? DARK : LIGHT,
});
const fit = new FitAddon.FitAddon();
let socket = null;
let ended = false;

function say(text) {
	notice.textContent = text;
	notice.hidden = !text;
	fit.fit();
}

function send(...message) {
	if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect() {
	const url = new URL(`shell/${number}`, location.href);
	url.protocol = url.protocol.replace("http", "ws");
	socket = new WebSocket(url);
	ended = false;
	socket.onopen = () => {
		say("");
		terminal.reset();
		send("set_size", terminal.rows, terminal.cols);
	};
	socket.onmessage = (event) => {
		const [kind, text] = JSON.parse(event.data);
		if (kind === "stdout") terminal.write(text);
		if (kind === "disconnect") ended = true;
	};
	socket.onclose = () => {
		say(ended ? "The shell has ended. Press Enter for a new one." : "The connection is lost. Press Enter to connect again.");
	};
}

document.title = `Terminal ${number}`;
terminal.loadAddon(fit);
terminal.open(document.getElementById("terminal"));
terminal.onData((text) => {
	if (socket.readyState === WebSocket.OPEN) send("stdin", text);
	else if (socket.readyState === WebSocket.CLOSED && text === "\r") connect();
});
terminal.onTitleChange((title) => { document.title = title; });
terminal.onResize(({ rows, cols }) => send("set_size", rows, cols));
dark.addEventListener("change", () => { terminal.options.theme = dark.matches ? DARK : LIGHT; });
new ResizeObserver(() => fit.fit()).observe(document.getElementById("terminal"));
fit.fit();
connect();
terminal.focus();
