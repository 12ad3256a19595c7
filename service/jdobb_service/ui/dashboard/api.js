// The public HTTP API of the service that this page came from; nothing here knows more than any client.

import { useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { isWatched, onUpdate, setReachable } from "./live.js";
import { learnClock } from "./time.js";

export const BASE = new URL(".", location.href.replace(/[?#].*/, ""));
const SLOWLY = 15000;
const AGAIN = 3000;
const AT_MOST_EVERY = 1000;
/** A connection may die without a word, as when a laptop sleeps: a reading that got no answer is made again. */
const ANSWER_WITHIN = 30000;

/** A refusal of the service, or no answer at all. */
class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? "The service did not answer.");
    this.status = status;
    this.code = problem.code ?? "unreachable";
    this.errors = problem.errors ?? [];
  }

  /** Whether it may be better in a moment, without anybody doing anything. */
  get passes() {
    return this.status === 0 || this.status >= 500;
  }
}

const signedOut = new Set();
/** Call back when the service asks who we are. */
export function onSignedOut(listener) {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

export async function request(method, path, body, { headers = {}, signal } = {}) {
  const patience = method === "GET" ? AbortSignal.timeout(ANSWER_WITHIN) : undefined;
  const options = { method, headers: { ...headers }, signal: signal ?? patience, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    options.body = typeof body === "string" ? body : JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const asked = Date.now();
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    setReachable(false);
    throw new ApiError(0, {});
  }
  setReachable(true);
  learnClock(answer.headers.get("date"), asked);
  const isJson = /[/+]json\b/.test(answer.headers.get("content-type") ?? "");
  if (answer.ok && (isJson || answer.status === 204)) return answer;
  if (answer.ok) throw new ApiError(answer.status, { title: "The answer did not come from the service." });
  const problem = isJson ? await answer.json().catch(() => ({})) : {};
  const error = new ApiError(answer.status, { title: `${answer.status} ${answer.statusText}`, ...problem });
  if (error.code === "unauthenticated" && !headers.Authorization) for (const listener of signedOut) listener();
  throw error;
}

export async function getJson(path, options) {
  return (await request("GET", path, undefined, options)).json();
}

export async function post(path, body, options) {
  return (await request("POST", path, body, options)).json();
}

/** Return the address of a list, with each value of an array as a parameter of its own. */
export function address(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") search.append(name, one);
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Read what is at `path` and keep it fresh: after updates that `matters` (at most once a second), after a gap in
 * the stream, and `every` so many milliseconds without any; not while updates are paused or nobody looks. While the
 * service cannot be reached, what was read stays: the frame says so. Returns {data, error, reload}.
 */
export function useResource(path, { matters = () => true, read = getJson, every = SLOWLY } = {}) {
  const [state, set] = useState({ path, data: undefined, error: undefined });
  const now = useRef({});
  now.current = { matters, read, every };
  const reload = useCallback(async () => {
    if (path === undefined) return true;
    try {
      const data = await now.current.read(path);
      set({ path, data, error: undefined });
      return true;
    } catch (error) {
      if (error.status !== 0) set((before) => ({ path, data: before.path === path ? before.data : undefined, error }));
      return !error.passes;
    }
  }, [path]);
  useEffect(() => {
    let timer;
    let due = Infinity;
    let last = 0;
    let over = false;
    let isRead = false;
    const at = (instant) => {
      if (over || instant >= due) return;
      clearTimeout(timer);
      due = instant;
      timer = setTimeout(again, Math.max(0, instant - Date.now()));
    };
    const again = async () => {
      due = Infinity;
      let pause = now.current.every;
      if (!isRead || isWatched()) {
        last = Date.now();
        isRead = await reload();
        if (!isRead) pause = AGAIN;
      }
      at(Date.now() + pause);
    };
    const leave = onUpdate((update) => {
      if (update === undefined || now.current.matters(update)) at(Math.max(Date.now(), last + AT_MOST_EVERY));
    });
    again();
    return () => {
      over = true;
      clearTimeout(timer);
      leave();
    };
  }, [reload]);
  const fresh = state.path === path;
  return { data: fresh ? state.data : undefined, error: fresh ? state.error : undefined, reload };
}
