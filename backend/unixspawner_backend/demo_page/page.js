"use strict";
// The echo box: shows that a WebSocket arrives here as the same account as the page did.
const form = document.getElementById("echo-form");
const input = document.getElementById("echo-text");
const button = form.querySelector("button");
const state = document.getElementById("echo-state");
const log = document.getElementById("echo-log");

const address = new URL(form.dataset.socket, location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(address);

function show(text, open) {
  state.textContent = text;
  button.disabled = !open;
}

show("connecting", false);
socket.addEventListener("open", () => show("open", true));
socket.addEventListener("close", () => show("closed", false));
socket.addEventListener("message", (event) => {
  const line = document.createElement("li");
  line.textContent = event.data;
  log.append(line);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (input.value && socket.readyState === WebSocket.OPEN) {
    socket.send(input.value);
    input.value = "";
  }
});
