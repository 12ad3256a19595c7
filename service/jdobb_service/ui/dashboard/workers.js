// Who runs the jobs.

import { html, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post, useResource } from "./api.js";
import { Ask, Empty, Failure, Time, shortId } from "./parts.js";
import { link } from "./router.js";
import { may } from "./session.js";
import { useNow } from "./time.js";

const RUNS_SHOWN = 4;
const DIRECTIVES = {
  quiet: { label: "Quiet", says: "It finishes what it runs and takes no more jobs. That cannot be taken back: start it anew for it to go on." },
  stop: { label: "Stop", says: "It finishes what it runs, or gives it back when that takes too long, and ends.", danger: true },
};

export function Workers() {
  const { data, error, reload } = useResource("workers", { matters: (update) => update.kind === "status" });
  const { run, busy, error: failure } = useAction();
  const [asked, ask] = useState();
  const now = useNow();
  const answer = (yes) => {
    const { worker, directive } = asked;
    ask(undefined);
    if (yes) run(async () => {
      await post(`workers/${encodeURIComponent(worker.id)}/${directive}`);
      await reload();
    });
  };
  return html`<header class="row"><h1>Workers</h1></header>
    <${Failure} error=${error ?? failure} />
    ${!data ? !error && html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>No worker is there: jobs wait. <code>jdobb worker module:router</code> starts one.<//>` : html`
    <section class="card scroll"><table class="workers">
      <thead><tr><th>Worker</th><th class="n">Slots</th><th>Job types</th><th>Runs</th><th class="n">Heard of</th><td></td></tr></thead>
      <tbody>${data.items.map((worker) => html`<${Worker} key=${worker.id} worker=${worker} now=${now} busy=${busy}
        begin=${(directive) => ask({ worker, directive })} />`)}</tbody>
    </table></section>`}
    ${asked && html`<${Ask} title=${`${DIRECTIVES[asked.directive].label} ${asked.worker.id}?`} action=${`${DIRECTIVES[asked.directive].label} it`}
      danger=${DIRECTIVES[asked.directive].danger} answer=${answer}><p>${DIRECTIVES[asked.directive].says}</p><//>`}`;
}

function Worker({ worker, now, busy, begin }) {
  const state = worker.stale ? ["failed", "silent"] : worker.directive !== "run" && ["paused", worker.directive];
  const allowed = !busy && may("admin");
  return html`<tr class=${worker.stale ? "stale" : ""}>
    <th scope="row"><span class="mono">${worker.id}</span> ${state && html`<span class=${`status ${state[0]}`}>${state[1]}</span>`}
      <div class="faint">${[worker.host, worker.pid && `pid ${worker.pid}`].filter(Boolean).join(", ")}</div></th>
    <td class="n">${worker.jobs.length} / ${worker.slots}</td>
    <td class="wraps">${worker.job_types.join(", ")}</td>
    <td class="wraps">${worker.jobs.slice(0, RUNS_SHOWN).map((id) => html`<a class="mono" href=${link("jobs", { id })} title=${id}>${shortId(id)}</a> `)}${worker.jobs.length > RUNS_SHOWN ? `and ${worker.jobs.length - RUNS_SHOWN} more` : ""}</td>
    <td class="n"><${Time} at=${worker.last_heartbeat_at} now=${now} /></td>
    <td><span class="actions"><button disabled=${!allowed || worker.directive !== "run"} onClick=${() => begin("quiet")}>Quiet …</button>
      <button class="danger" disabled=${!allowed || worker.directive === "stop"} onClick=${() => begin("stop")}>Stop …</button></span></td>
  </tr>`;
}
