// Who we are to the service: an API key's scopes, or everything where there are no keys.

import { html, useEffect, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { getJson, onSignedOut, request } from "./api.js";
import { setSignedIn, useConnected } from "./live.js";
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

/**
 * Shows its children once it is known who we are. When the service asks for an API key, so does this; what the same
 * person was at meanwhile is kept.
 */
export function Gate({ children }) {
  const [known, know] = useState();
  const [out, setOut] = useState(false);
  const ask = async () => {
    try {
      me = await getJson("session");
      know(me);
      setOut(false);
      setSignedIn(true);
    } catch (failure) {
      if (failure.code !== "unauthenticated") setTimeout(ask, RETRY);
    }
  };
  useEffect(() => {
    const forget = onSignedOut(() => {
      setOut(true);
      setSignedIn(false);
    });
    ask();
    return forget;
  }, []);
  return html`
    ${out && html`<${SignIn} done=${ask} />`}
    ${known && html`<div key=${JSON.stringify(known)} class="frame" hidden=${out}>${children}</div>`}
    ${!known && !out && html`<${Unreachable} />`}`;
}

function Unreachable() {
  const connected = useConnected();
  return !connected && html`<main class="login"><div class="notice warn" role="status">The service does not answer. Trying again …</div></main>`;
}

function SignIn({ done }) {
  const { run, busy, error } = useAction();
  const enter = (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    run(async () => {
      await request("POST", "session", undefined, { headers: { Authorization: `Bearer ${key}` } });
      await done();
    });
  };
  return html`<main class="login"><form class="card" onSubmit=${enter}>
    <h1>jdobb</h1>
    <label>API key <input name="key" type="password" autocomplete="current-password" required autofocus /></label>
    <${Failure} error=${error} />
    <button class="primary" disabled=${busy}>Sign in</button>
    <p class="faint">The key stays with the service: this browser gets a cookie for twelve hours.</p>
  </form></main>`;
}
