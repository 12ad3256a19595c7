// What is done to many jobs at once, asked back with their number first.

import { html, useState } from "../vendor/preact.js";
import { post } from "./api.js";
import { Ask, Failure, number } from "./parts.js";
import { may } from "./session.js";

export const ACTIONS = {
  cancel: { label: "Cancel", scope: "cancel", of: ["pending", "processing"], danger: true, done: "cancelled" },
  retry: { label: "Retry", scope: "enqueue", of: ["failed", "cancelled"], done: "put back" },
  delete: { label: "Delete", scope: "admin", of: ["complete", "failed", "cancelled"], danger: true, done: "deleted" },
};

/** The bar for the jobs that are selected: `target` has their ids, or the filter that all of them match. */
export function Bulk({ target, count, all, canAll, onAll, onClear, onDone }) {
  const [asked, ask] = useState();
  const [error, fail] = useState();
  const begin = async (action) => {
    try {
      fail(undefined);
      const { matched, more } = await post("jobs/bulk", { action, ...clean(target, action), dry_run: true });
      ask({ action, matched, more });
    } catch (failure) {
      fail(failure);
    }
  };
  const answer = async (yes) => {
    const { action } = asked;
    ask(undefined);
    if (!yes) return;
    let done = 0;
    let failed = 0;
    try {
      for (;;) {
        const step = await post("jobs/bulk", { action, ...clean(target, action) });
        done += step.done;
        failed += step.failed.length;
        if (!step.more || !step.done) break;
      }
      onDone(`${number(done)} ${ACTIONS[action].done}${failed ? `, ${number(failed)} could not be` : ""}.`);
    } catch (failure) {
      fail(failure);
    }
  };
  return html`<div class="bulk" role="region" aria-label="Selected jobs">
    <strong>${all ? "All that match" : `${number(count)} selected`}</strong>
    ${canAll && !all && html`<button class="quiet" onClick=${onAll}>Select all that match</button>`}
    ${Object.entries(ACTIONS).map(([action, { label, scope }]) => html`
      <button disabled=${!may(scope)} onClick=${() => begin(action)}>${label}</button>`)}
    <button class="quiet" onClick=${onClear}>Clear</button>
    <${Failure} error=${error} />
    ${asked && html`<${Ask} title=${`${ACTIONS[asked.action].label} ${number(asked.matched)}${asked.more ? " or more" : ""} jobs?`}
      action=${`${ACTIONS[asked.action].label} ${asked.matched === 1 ? "it" : "them"}`} danger=${ACTIONS[asked.action].danger} answer=${answer}>
      <p>Of what is selected, these are ${ACTIONS[asked.action].of.join(" or ")}.</p><//>`}
  </div>`;
}

/** The target as the API takes it: a filter that names no status means those that the action is for. */
function clean(target, action) {
  if (target.ids) return target;
  const filter = { status: ACTIONS[action].of };
  for (const [name, value] of Object.entries(target.filter)) {
    if (name.startsWith("metadata.")) (filter.metadata ??= {})[name.slice(9)] = value;
    else if (value.length) filter[name] = value;
  }
  return { filter };
}
