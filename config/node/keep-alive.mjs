// Preloaded into configurable-http-proxy (`node --import`): connections to Unix sockets are kept, as
// those to TCP ports are.
//
// The proxy opens one for each request otherwise. Besides costing two thirds of its throughput, that
// loses answers: the other side answers and closes, the proxy then writes the empty end of the
// request, and on a Unix socket that fails at once, so that the person gets 503 instead.

import http from "node:http";

import { ConfigurableProxy } from "./node_modules/configurable-http-proxy/lib/configproxy.js";

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
