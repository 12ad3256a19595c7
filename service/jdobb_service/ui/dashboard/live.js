// What happens now: updates of all jobs, whichever tab of this browser holds the stream.

import { useEffect, useState } from "../vendor/preact.js";
import { Hub } from "./hub.js";
import { onChange, settings } from "./settings.js";

const BEAT = 20000;
const listeners = new Set();
const watchers = new Set();
let connected = true;
let channel;

/** Call back with each update, and with undefined when something may have been missed. Returns what ends it. */
export function onUpdate(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tell of job types that there are. */
export function learnTypes(types) {
  channel?.send("types", types);
}

function hear(message) {
  if (message.kind === "connected") {
    connected = message.value;
    for (const watcher of watchers) watcher(connected);
  }
  if (!settings.live) return;
  if (message.kind === "update") for (const listener of listeners) listener(message.update);
  if (message.kind === "gap") for (const listener of listeners) listener(undefined);
}

export function useConnected() {
  const [now, set] = useState(connected);
  useEffect(() => {
    watchers.add(set);
    return () => watchers.delete(set);
  }, []);
  return now;
}

export function start() {
  channel = shared() ?? alone();
  let was;
  const awake = () => {
    const is = !document.hidden && settings.live;
    channel.send("awake", is);
    if (is && was === false) hear({ kind: "gap" });
    was = is;
  };
  document.addEventListener("visibilitychange", awake);
  onChange(awake);
  addEventListener("pagehide", () => channel.send("bye"));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  setInterval(awake, BEAT);
  awake();
}

function shared() {
  if (typeof SharedWorker === "undefined") return undefined;
  const url = new URL("live-worker.js", import.meta.url).href;
  const policy = globalThis.trustedTypes?.createPolicy("jdobb", { createScriptURL: (text) => text });
  try {
    const { port } = new SharedWorker(policy?.createScriptURL(url) ?? url, { type: "module", name: "jdobb" });
    port.onmessage = ({ data }) => hear(data);
    return { send: (kind, value) => port.postMessage({ kind, value }) };
  } catch {
    return undefined;
  }
}

function alone() {
  const hub = new Hub(new URL("../../", import.meta.url));
  const me = {};
  hub.join(me, hear);
  const does = {
    types: (value) => hub.learn(value),
    awake: (value) => hub.look(me, value),
    bye: () => hub.leave(me),
  };
  return { send: (kind, value) => does[kind](value) };
}
