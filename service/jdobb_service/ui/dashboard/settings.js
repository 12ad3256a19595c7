// What a person sets for this browser.

import { useEffect, useState } from "../vendor/preact.js";

const KEY = "jdobb.settings";
const DEFAULTS = { theme: "system", times: "relative", live: true, hidePayloads: false };
const listeners = new Set();

export let settings = read();

function read() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

export function change(changes) {
  settings = { ...settings, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage is closed to the page: the settings hold until it is left.
  }
  apply();
}

function apply() {
  const { theme } = settings;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const listener of listeners) listener(settings);
}

addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  settings = read();
  apply();
});

/** Call back after each change. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSettings() {
  const [now, set] = useState(settings);
  useEffect(() => onChange(set), []);
  return now;
}

/** "light" or "dark", whoever decided it. */
export function useTheme() {
  const { theme } = useSettings();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [system, set] = useState(dark.matches);
  useEffect(() => {
    const changed = (event) => set(event.matches);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  return theme === "system" ? (system ? "dark" : "light") : theme;
}
