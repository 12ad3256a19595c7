// The jobs that a filter finds: read page by page, and kept as they are now.

import { useEffect, useRef, useState } from "../vendor/preact.js";
import { address, getJson } from "./api.js";
import { isWatched, onUpdate } from "./live.js";
import { TERMINAL } from "./parts.js";

const [FIRST, FURTHER] = [50, 200]; // jobs that are read at once
const LOOK_EVERY = 5000;
const LOOK_AFTER = 1000;
const REDRAW_EVERY = 100;
const EMPTY_PAGES = 10; // of a filter without an index, before a person is asked whether to go on

/**
 * Rows that were read stay where they are and change in place; what is new waits until it is asked for.
 * That a job was enqueued is no update: the list is looked at again for it, and soon after one of a job that is not shown.
 * Returns {jobs, next, error, fresh, reload, more}: `next` tells whether there are more, `fresh` how many jobs have come or gone.
 */
export function useRows(filter) {
  const rows = useRef(new Map());
  const [{ cursor, error, isRead }, set] = useState({ cursor: null, error: undefined, isRead: false });
  const [fresh, setFresh] = useState(0);
  const reading = useRef(0);
  const wasRead = useRef(false);
  wasRead.current = isRead;
  const redraw = useRedraw();
  const page = (from) => getJson(address("jobs", { ...filter, limit: from ? FURTHER : FIRST, cursor: from }));
  const read = async (from) => {
    const turn = ++reading.current;
    try {
      let { items, next_cursor } = await page(from);
      for (let pages = 1; !items.length && next_cursor && pages < EMPTY_PAGES; pages++) {
        ({ items, next_cursor } = await page(next_cursor));
      }
      if (turn !== reading.current) return;
      if (!from) {
        rows.current = new Map();
        setFresh(0);
      }
      for (const job of items) keep(rows.current, job);
      set({ cursor: next_cursor, error: undefined, isRead: true });
    } catch (failure) {
      if (failure.status !== 0) set((before) => ({ ...before, error: failure }));
    }
  };
  const look = async () => {
    const turn = reading.current;
    const seen = new Set();
    let from;
    try {
      do {
        const { items, next_cursor } = await page(from);
        if (turn !== reading.current) return;
        for (const job of items) {
          seen.add(job.id);
          if (rows.current.has(job.id)) keep(rows.current, job);
        }
        from = next_cursor;
      } while (from && seen.size < rows.current.size);
    } catch {
      return; // it is tried again soon
    }
    const come = [...seen].filter((id) => !rows.current.has(id)).length;
    const gone = from ? 0 : [...rows.current.keys()].filter((id) => !seen.has(id)).length;
    setFresh(come + gone);
    redraw();
  };
  useEffect(() => {
    let timer;
    let due = Infinity;
    const at = (instant) => {
      if (instant >= due) return;
      clearTimeout(timer);
      due = instant;
      timer = setTimeout(again, Math.max(0, instant - Date.now()));
    };
    const again = async () => {
      due = Infinity;
      if (isWatched()) await (wasRead.current ? look() : read());
      at(Date.now() + LOOK_EVERY);
    };
    const leave = onUpdate((update) => {
      const job = rows.current.get(update?.job_id);
      if (job) {
        keep(rows.current, after(job, update));
        redraw();
      } else if (update === undefined || update.kind === "status") at(Date.now() + (update ? LOOK_AFTER : 0));
    });
    read().then(() => at(Date.now() + LOOK_EVERY));
    return () => {
      due = -Infinity;
      clearTimeout(timer);
      leave();
    };
  }, []);
  const jobs = isRead ? [...rows.current.values()] : undefined;
  return { jobs, next: cursor !== null, error, fresh, reload: () => read(), more: () => read(cursor) };
}

/** Put a job among the rows, unless what is known of it is newer. */
function keep(rows, job) {
  const known = rows.get(job.id);
  if (!known || Date.parse(known.updated_at) <= Date.parse(job.updated_at)) rows.set(job.id, job);
}

/** The job as it is after an update. */
function after(job, { status, progress, message, error, attempt, timestamp }) {
  const now = { ...job, status, progress, message, error, attempt, updated_at: timestamp };
  if (TERMINAL.has(status)) now.completed_at = timestamp;
  else {
    now.completed_at = null;
    if (status === "processing" && job.status !== "processing") now.started_at = timestamp;
  }
  return now;
}

/** Return what draws again, once for all that happens within a moment. */
function useRedraw() {
  const [, draw] = useState(0);
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      draw((count) => count + 1);
    }, REDRAW_EVERY);
  };
}
