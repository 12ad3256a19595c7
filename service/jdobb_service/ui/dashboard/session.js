// Who we are to the service: an API key's scopes, or everything where there are no keys.

import { html, useEffect, useState } from "../vendor/preact.js";
import { onSignedOut, request } from "./api.js";
import { Failure } from "./parts.js";

const KEY = "jdobb.scopes";
const ALL = ["enqueue", "read", "cancel", "work", "admin"];
const watchers = new Set();
let scopes = stored();

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? ALL;
  } catch {
    return ALL;
  }
}

function know(found) {
  scopes = found;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(found));
  } catch {
    // Storage is closed to the page: the service refuses what the key does not allow.
  }
  for (const watcher of watchers) watcher(found);
}

/** Return a function that tells whether the caller has a scope. The service decides; this greys buttons out. */
export function useScopes() {
  const [now, set] = useState(scopes);
  useEffect(() => {
    watchers.add(set);
    return () => watchers.delete(set);
  }, []);
  return (scope) => now.includes(scope);
}

export async function leave() {
  await request("DELETE", "session");
  location.reload();
}

/** Shows its children, or asks for an API key when the service does. */
export function Gate({ children }) {
  const [out, set] = useState(false);
  const [error, fail] = useState();
  useEffect(() => onSignedOut(() => set(true)), []);
  if (!out) return children;
  const enter = async (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    try {
      const answer = await request("POST", "session", undefined, { headers: { Authorization: `Bearer ${key}` } });
      know((await answer.json()).scopes);
      location.reload();
    } catch (failure) {
      fail(failure);
    }
  };
  return html`<main class="login"><form class="card" onSubmit=${enter}>
    <h1>jdobb</h1>
    <label>API key <input name="key" type="password" autocomplete="current-password" required autofocus /></label>
    <${Failure} error=${error} />
    <button class="primary">Sign in</button>
    <p class="faint">The key stays with the service: this browser gets a cookie for twelve hours.</p>
  </form></main>`;
}
