// What is done to many jobs at once, asked back with their number first.

import { html, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post } from "./api.js";
import { Ask, Failure, number } from "./parts.js";
import { may } from "./session.js";

const AT_ONCE = 1000; // ids in one call

export const ACTIONS = {
  cancel: { label: "Cancel", scope: "cancel", of: ["pending", "processing"], done: "cancelled", danger: true, note: "Those that run are stopped." },
  retry: { label: "Retry", scope: "enqueue", of: ["failed", "cancelled"], done: "put back" },
  delete: {
    label: "Delete", scope: "admin", of: ["complete", "failed", "cancelled"], done: "deleted", danger: true,
    note: "Their data, results and updates go too. They cannot be brought back.",
  },
};

const jobs = (count) => `${number(count)} ${count === 1 ? "job" : "jobs"}`;
const fitting = (action) => ACTIONS[action].of.join(" or ");

/**
 * The bar for the jobs that are selected: `ids`, or with `all` every job that `filter` finds; `statuses` are those they may have.
 * `onDone` is told what came of it.
 */
export function Bulk({ ids, all, filter, statuses, canAll, onAll, onClear, onDone }) {
  const [asked, ask] = useState();
  const [done, tell] = useState();
  const { run, busy, error } = useAction();
  const begin = (action) => run(async () => {
    tell(undefined);
    const found = await expected(targets(action));
    if (found.able || found.more) ask({ action, ...found });
    else tell(`No job of these is ${fitting(action)}.`);
  });
  const targets = (action) => (all ? [{ action, filter: narrowed(filter, action) }] : parts(ids).map((part) => ({ action, ids: part })));
  const answer = (yes) => {
    const { action } = asked;
    ask(undefined);
    if (yes) run(async () => {
      const { changed, refused } = await change(targets(action), (count) => tell(`${number(count)} ${ACTIONS[action].done} …`));
      tell(undefined);
      onDone(`${number(changed)} ${ACTIONS[action].done}${refused ? `, ${number(refused)} could not be` : ""}.`);
    });
  };
  return html`<div class="bulk" role="region" aria-label="Selected jobs">
    <strong>${all ? "All that match" : `${number(ids.length)} selected`}</strong>
    ${canAll && !all && html`<button class="quiet" disabled=${busy} onClick=${onAll}>Select all that match</button>`}
    ${Object.entries(ACTIONS).map(([action, { label, scope, of }]) => {
      const fits = statuses.some((status) => of.includes(status));
      return html`<button disabled=${busy || !fits || !may(scope)} title=${fits ? undefined : `For jobs that are ${fitting(action)}`}
        onClick=${() => begin(action)}>${label}</button>`;
    })}
    <button class="quiet" disabled=${busy} onClick=${onClear}>Clear</button>
    <span class="faint" role="status">${done}</span>
    <${Failure} error=${error} />
    ${asked && html`<${Question} ...${asked} count=${all ? undefined : ids.length} answer=${answer} />`}
  </div>`;
}

function Question({ action, able, more, count, answer }) {
  const { label, danger, note } = ACTIONS[action];
  return html`<${Ask} title=${`${label} ${more ? `${number(able)} or more jobs` : jobs(able)}?`} action=${`${label} ${able === 1 && !more ? "it" : "them"}`}
      danger=${danger} answer=${answer}>
    ${count > able && html`<p>Of the ${number(count)} selected, ${number(count - able)} stay as they are: only jobs that are ${fitting(action)} are meant.</p>`}
    ${note && html`<p>${note}</p>`}<//>`;
}

function parts(ids) {
  const found = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) found.push(ids.slice(at, at + AT_ONCE));
  return found;
}

/** The filter as the API takes it here; one that names no status means those that the action is for. */
function narrowed({ status, job_type: jobType, ...rest }, action) {
  const { of } = ACTIONS[action];
  const dates = Object.entries(rest).filter(([name]) => name.startsWith("created_"));
  const metadata = Object.entries(rest).filter(([name]) => name.startsWith("metadata."));
  return {
    status: status.length ? status.filter((one) => of.includes(one)) : of,
    ...(jobType.length && { job_type: jobType }),
    ...Object.fromEntries(dates),
    ...(metadata.length && { metadata: Object.fromEntries(metadata.map(([name, value]) => [name.slice("metadata.".length), value])) }),
  };
}

/** How many jobs the calls would change, and whether there may be more. */
async function expected(calls) {
  let able = 0;
  let more = false;
  for (const call of calls) {
    const found = await post("jobs/bulk", { ...call, dry_run: true });
    able += found.matched - found.failed.filter((one) => one.code !== "job-not-found").length;
    more ||= found.more;
  }
  return { able, more };
}

/** Make the calls, each for as long as it gets more jobs done. */
async function change(calls, onStep) {
  let changed = 0;
  let refused = 0;
  for (const call of calls) {
    for (let step = { more: true, done: 1 }; step.more && step.done; ) {
      step = await post("jobs/bulk", call);
      changed += step.done;
      refused += step.failed.length;
      onStep(changed);
    }
  }
  return { changed, refused };
}
