// Keys for those who do not like the mouse. None works while somebody types, or has to sign in.

import { html, useLayoutEffect, useRef } from "../vendor/preact.js";

const KEYS = [
  ["g o", "Overview"], ["g j", "Jobs"], ["g t", "Job types"], ["g w", "Workers"], ["g e", "Enqueue"], ["g s", "Settings"],
  ["/", "Find a job"], ["j  k", "Next, previous row"], ["Enter", "Open the row"], ["x", "Select the row"],
  ["r", "Retry"], ["c", "Cancel"], ["p", "Pause or resume live updates"], ["?", "These keys"],
];

const TYPING = "textarea, select, input:not([type=checkbox], [type=radio]), dialog *";

function isTyping(event) {
  return event.metaKey || event.ctrlKey || event.altKey || event.target.matches?.(TYPING) || document.querySelector(".login") !== null;
}

/** Call the function that belongs to a key. */
export function useKeys(does) {
  const now = useRef();
  now.current = does;
  useLayoutEffect(() => {
    const pressed = (event) => {
      if (event.defaultPrevented || isTyping(event) || !Object.hasOwn(now.current, event.key)) return;
      event.preventDefault();
      now.current[event.key]();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

/** Two keys in a row: `does` has what comes after `first`; another second key does nothing, not even what it does alone. */
export function useSequence(first, does) {
  const now = useRef();
  now.current = does;
  useLayoutEffect(() => {
    let since = 0;
    const pressed = (event) => {
      if (event.defaultPrevented || isTyping(event)) return;
      if (since && Date.now() - since < 1500 && event.key.length === 1) {
        event.preventDefault();
        since = 0;
        if (Object.hasOwn(now.current, event.key)) now.current[event.key]();
      } else since = event.key === first ? Date.now() : 0;
    };
    addEventListener("keydown", pressed, { capture: true });
    return () => removeEventListener("keydown", pressed, { capture: true });
  }, []);
}

export const Keys = () => html`<dl class="keys">${KEYS.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>`;
