// What happens now: updates of all jobs, whichever tab of this browser holds the stream.

import { useEffect, useState } from "../vendor/preact.js";
import { Hub } from "./hub.js";
import { onChange, settings } from "./settings.js";

const BEAT = 20000;
const listeners = new Set();
const watchers = new Set();
let streams = true;
let reachable = true;
let signedIn = true;
let channel;
let wasWatched;

/** Call back with each update, and with undefined when something may have been missed. Returns what ends it. */
export function onUpdate(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tell of job types that there are. */
export function learnTypes(types) {
  channel?.send("types", types);
}

/** Tell whether somebody looks who may, and wants to see what changes. */
export function isWatched() {
  return !document.hidden && settings.live && signedIn;
}

/** Tell whether the service knows who looks. */
export function setSignedIn(value) {
  signedIn = value;
  awake();
}

function hear(message) {
  if (message.kind === "connected") {
    streams = message.value;
    tellWatchers();
  }
  if (!settings.live) return;
  if (message.kind === "update") for (const listener of listeners) listener(message.update);
  if (message.kind === "gap") catchUp();
}

/** Let everything be read again. */
export function catchUp() {
  for (const listener of listeners) listener(undefined);
}

/** Tell whether the last call was answered. */
export function setReachable(value) {
  if (value === reachable) return;
  reachable = value;
  tellWatchers();
  if (reachable) catchUp();
}

const isConnected = () => streams && reachable;

function tellWatchers() {
  for (const watcher of watchers) watcher(isConnected());
}

export function useConnected() {
  const [now, set] = useState(isConnected);
  useEffect(() => {
    watchers.add(set);
    return () => watchers.delete(set);
  }, []);
  return now;
}

/** Have the stream if somebody looks, and read again what may have been missed before. */
function awake() {
  const is = isWatched();
  channel.send("awake", is);
  if (is && wasWatched === false) catchUp();
  wasWatched = is;
}

export function start() {
  channel = shared() ?? alone();
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
