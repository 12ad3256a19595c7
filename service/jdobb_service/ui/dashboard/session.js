// Who we are to the service: an API key's scopes, or everything where there are no keys.

import { html, useEffect, useState } from "../vendor/preact.js";
import { getJson, onSignedOut, request } from "./api.js";
import { Failure } from "./parts.js";

const ANYBODY = { caller: "anonymous", scopes: [] };
const RETRY = 2000;
let me = ANYBODY;

/** Tell whether the caller has a scope. The service decides; this greys buttons out. */
export function may(scope) {
  return me.scopes.includes(scope);
}

/** Tell whether calls need an API key. */
export function needsKey() {
  return me.caller !== ANYBODY.caller;
}

export async function leave() {
  await request("DELETE", "session");
  location.reload();
}

/** Shows its children once it is known who we are, or asks for an API key when the service does. */
export function Gate({ children }) {
  const [state, set] = useState("unknown");
  const [error, fail] = useState();
  useEffect(() => {
    const forget = onSignedOut(() => set("out"));
    const ask = async () => {
      try {
        me = await getJson("session");
        set("in");
      } catch (failure) {
        if (failure.code !== "unauthenticated") setTimeout(ask, RETRY);
      }
    };
    ask();
    return forget;
  }, []);
  if (state === "unknown") return null;
  if (state === "in") return children;
  const enter = async (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    try {
      await request("POST", "session", undefined, { headers: { Authorization: `Bearer ${key}` } });
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
