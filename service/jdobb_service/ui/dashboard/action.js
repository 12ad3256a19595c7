// What a button does: one call at a time, and what came of it.

import { useRef, useState } from "../vendor/preact.js";

/** Return {run, busy, error}. `run(work)` does the work unless some is being done: the second click of a double click is none. */
export function useAction() {
  const running = useRef(false);
  const [busy, set] = useState(false);
  const [error, fail] = useState();
  const run = async (work) => {
    if (running.current) return;
    running.current = true;
    set(true);
    fail(undefined);
    try {
      await work();
    } catch (failure) {
      fail(failure);
    } finally {
      running.current = false;
      set(false);
    }
  };
  return { run, busy, error };
}
