// Instants and durations in words.

import { useEffect, useState } from "../vendor/preact.js";
import { settings } from "./settings.js";

const LATE = 3000;
let ahead = 0;

/** Milliseconds of the service's clock, which may differ from this browser's. */
export function present() {
  return Date.now() + ahead;
}

/** Learn from the date of an answer how far the service's clock is ahead; it is up to some seconds old. */
export function learnClock(date, asked) {
  const told = Date.parse(date);
  if (Number.isNaN(told)) return;
  const [least, most] = [told - Date.now(), told + LATE - asked];
  if (ahead < least) ahead = least;
  if (ahead > most) ahead = most;
}

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

/** Seconds in short: 380 ms, 12.4 s, 3 m 20 s, 2 h 5 m. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return "<1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 && seconds % 1 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  const [[major, size], minor] = [UNITS[first], UNITS[first + 1]];
  const rest = minor && Math.floor((seconds % size) / minor[1]);
  return `${Math.floor(seconds / size)} ${major}${rest ? ` ${rest} ${minor[0]}` : ""}`;
}

/** How long ago an instant was, no finer than one wants to read, or how long it is until then. */
export function ago(text, now = present()) {
  const seconds = (now - Date.parse(text)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds >= 0 ? `${duration(coarse(seconds))} ago` : `in ${duration(Math.ceil(-seconds))}`;
}

/** Leave out the smaller part from ten hours or days on, and the seconds after a minute. */
function coarse(seconds) {
  const [size, smaller] = seconds < 60 ? [1, 1] : seconds < 3600 ? [60, 60] : seconds < 86400 ? [3600, 60] : [86400, 3600];
  const step = seconds < 10 * size ? smaller : size;
  return Math.floor(seconds / step) * step;
}

/** The instant in full. */
export function instant(text, zone = settings.times) {
  if (!text) return "–";
  const date = new Date(text);
  if (zone === "utc") return `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** The time of day of an instant; `options` as for `toLocaleTimeString`. */
export function clock(at, options = { timeStyle: "medium" }) {
  return new Date(at).toLocaleTimeString(undefined, settings.times === "utc" ? { ...options, timeZone: "UTC" } : options);
}

/** Draw again every so often, for texts that depend on the time. */
export function useNow(every = 1000) {
  const [now, set] = useState(present);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || set(present()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
