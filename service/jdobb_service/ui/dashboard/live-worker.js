// The SharedWorker: see live.js. Tabs that vanish without a word stop answering and are forgotten.

import { Hub } from "./hub.js";

const SILENT = 60000;
const hub = new Hub(new URL("../../", location.href));
const heard = new Map();

onconnect = ({ ports: [port] }) => {
  heard.set(port, Date.now());
  port.onmessage = ({ data: { kind, value } }) => {
    heard.set(port, Date.now());
    if (kind === "types") hub.learn(value);
    if (kind === "awake") hub.look(port, value);
    if (kind === "bye") forget(port);
  };
  hub.join(port, (message) => port.postMessage(message));
};

function forget(port) {
  hub.leave(port);
  heard.delete(port);
}

setInterval(() => {
  for (const [port, at] of heard) if (Date.now() - at > SILENT) forget(port);
}, SILENT / 2);
