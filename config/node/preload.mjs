// Preloaded into configurable-http-proxy (`node --import`): what it leaves open and we do not.

import http from "node:http";

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
    proxy.on("proxyRes", (answer) => {
      for (const name of NOT_FOR_BROWSERS) delete answer.headers[name];
    });
  }
}

// 3. The hub logs an address, and believes X-Real-IP more than the proxy's own X-Forwarded-For.
const findTarget = ConfigurableProxy.prototype.targetForReq;

ConfigurableProxy.prototype.targetForReq = function (request) {
  guard(this.proxy);
  delete request.headers["x-real-ip"];
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
