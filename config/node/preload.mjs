// Preloaded into configurable-http-proxy (`node --import`): what it leaves open and we do not.

import fs from "node:fs";
import http from "node:http";
import https from "node:https";

import { ConfigurableProxy } from "./node_modules/configurable-http-proxy/lib/configproxy.js";

// 1. Connections to Unix sockets are kept, as those to TCP ports are. The proxy opens one for each
// request otherwise. Besides costing two thirds of its throughput, that loses answers: the other
// side answers and closes, the proxy then writes the empty end of the request, and on a Unix socket
// that fails at once, so that the person gets 503 instead. See docs/adr/0007.
//
// Shorter than what hub and servers wait (75 s and more), so that nobody writes into a closing one.
const agent = new http.Agent({ keepAlive: true, timeout: 30_000 });
const original = ConfigurableProxy.prototype.proxyOptsForTarget;

ConfigurableProxy.prototype.proxyOptsForTarget = function (target) {
  const options = original.call(this, target);
  if (options.target.socketPath) {
    options.agent = agent;
  }
  return options;
};

// 2. All servers share one origin. None of them may register a service worker for more than its own
// path, or it could answer for the sign-in page; none may clear the whole site's cookies.
const NOT_FOR_BROWSERS = ["service-worker-allowed", "clear-site-data"];
const guarded = new WeakSet();

function guard(proxy) {
  if (!guarded.has(proxy)) {
    guarded.add(proxy);
    proxy.on("proxyRes", (answer, _request, response) => {
      for (const name of NOT_FOR_BROWSERS) delete answer.headers[name];
      endWith(answer, response);
    });
    keepConnections(proxy);
  }
}

// An answer that is cut short is cut short for the client too: pipe() ends with an end only, and the
// client would wait for the rest for ever. What has come is sent before the connection ends.
function endWith(answer, response) {
  answer.once("close", () => {
    if (answer.complete) return;
    if (response.socket) response.socket.destroySoon();
    else response.destroy();
  });
}

// What a client says of its connection to us is not for hub and servers: `close` would have them
// close after an early answer, which is then lost as in 1, and any other word there takes a header
// of that name away.
function keepConnections(proxy) {
  const web = proxy.web;
  proxy.web = (request, response, options, failed) => {
    const headers = { ...proxy.options?.headers, ...options.headers, connection: "keep-alive" };
    return web.call(proxy, request, response, { ...options, headers }, failed);
  };
}

// 3. Which way a request has come is for the proxy to say, and for a web server on this machine that
// forwards to it. The proxy adds its own word behind what X-Forwarded-For, -Port and -Proto say already,
// copies Host where X-Forwarded-Host is missing, and writes none of the other names, some of which hub and applications believe more. See docs/security.md.
const SAID_BY_NOBODY = [
  "forwarded",
  "x-forwarded-protocol",
  "x-forwarded-scheme",
  "x-forwarded-server",
  "x-forwarded-ssl",
  "x-real-ip",
  "x-scheme",
];
const SAID_BY_WEB_SERVERS = [
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
];
const findTarget = ConfigurableProxy.prototype.targetForReq;

// Also where an IPv4 address is written as one of IPv6, as on a port for both.
function isThisMachine(address) {
  return /^(?:(?:::ffff:)?127\.|::1$)/i.test(address ?? "");
}

ConfigurableProxy.prototype.targetForReq = function (request) {
  guard(this.proxy);
  for (const name of SAID_BY_NOBODY) delete request.headers[name];
  if (!isThisMachine(request.socket.remoteAddress)) {
    for (const name of SAID_BY_WEB_SERVERS) delete request.headers[name];
  }
  return findTarget.call(this, request);
};

// 4. A port that somebody else has is the end. The proxy would log it as just another error and live
// on, and whoever has the port would be taken for us.
process.prependListener("uncaughtException", (error) => {
  if (error.syscall === "listen") {
    console.error(`The proxy cannot listen: ${error.message}`);
    process.exit(1);
  }
});

// 5. Nobody is waited for without end, and no number of connections leaves the proxy without
// descriptors for its own. What Node has by default would end an upload after five minutes and wait
// for ever for one that stands still. The hub bounds what it reads itself (unixspawner/bounds.py).
const HEAD = 20_000; // ms for a TLS handshake, and for the head of a request; saying nothing counts
const REST = 10_000; // for what is missing of a request that has been answered
const STANDSTILL = 120_000; // for a body that does not move
const CHECK = 5_000;
const OTHER_DESCRIPTORS = 200;

const limits = {
  headersTimeout: HEAD,
  handshakeTimeout: HEAD,
  requestTimeout: 0,
  connectionsCheckingInterval: CHECK,
  maxHeaderSize: 32 * 1024,
};

function descriptors() {
  const line = /^Max open files +(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"));
  return line ? Number(line[1]) : 1024;
}

// Every connection that is accepted may need another one, to hub or server.
const maxConnections = Math.max(50, Math.floor((descriptors() - OTHER_DESCRIPTORS) / 2));

for (const module of [http, https]) {
  const createServer = module.createServer;
  module.createServer = (options, listener) => {
    const [given, called] = typeof options === "function" ? [{}, options] : [options, listener];
    const server = createServer({ ...given, ...limits }, called);
    server.maxConnections = maxConnections;
    return server;
  };
}

// A request whose body is not there yet.
function watch(request, response) {
  let moved = request.socket.bytesRead;
  const end = () => {
    if (!request.complete) request.socket.destroy();
  };
  const standstill = setInterval(() => {
    // Paused means that hub or server do not take it; that is theirs to decide.
    if (request.socket.bytesRead === moved && !request.isPaused()) end();
    moved = request.socket.bytesRead;
  }, STANDSTILL);
  request.once("end", () => clearInterval(standstill));
  response.once("finish", () => {
    if (!request.complete) setTimeout(end, REST).unref();
  });
  response.once("close", () => clearInterval(standstill));
}

const handleWeb = ConfigurableProxy.prototype.handleProxyWeb;

ConfigurableProxy.prototype.handleProxyWeb = function (request, response) {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (coding || Number(length) > 0) watch(request, response);
  return handleWeb.call(this, request, response);
};

// 6. Bytes on a WebSocket are no sign of use: browsers answer the server's pings for as long as a page is
// open anywhere. Servers count the messages themselves, and tell the hub.
const upgrade = ConfigurableProxy.prototype.handleProxyWs;
const ignore = { updateLastActivity: { value: () => Promise.resolve() } };

ConfigurableProxy.prototype.handleProxyWs = function (request, socket, head) {
  return upgrade.call(Object.create(this, ignore), request, socket, head);
};
