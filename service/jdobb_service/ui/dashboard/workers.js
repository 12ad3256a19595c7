// Who runs the jobs.

import { html } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post, useResource } from "./api.js";
import { Empty, Failure, Time, shortId } from "./parts.js";
import { link } from "./router.js";
import { may } from "./session.js";
import { useNow } from "./time.js";

const RUNS_SHOWN = 2;

export function Workers() {
  const { data, error, reload } = useResource("workers", { matters: (update) => update.kind === "status" });
  const { run, busy, error: failure } = useAction();
  const now = useNow();
  const tell = (worker, directive) => () => run(async () => {
    await post(`workers/${encodeURIComponent(worker.id)}/${directive}`);
    await reload();
  });
  return html`<header class="row"><h1>Workers</h1></header>
    <${Failure} error=${error ?? failure} />
    ${!data ? html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>No worker is there: jobs wait. <code>jdobb worker module:router</code> starts one.<//>` : html`
    <section class="card scroll"><table>
      <thead><tr><th>Worker</th><th class="n">Slots</th><th>Job types</th><th>Runs</th><th class="n">Heard of</th><td></td></tr></thead>
      <tbody>${data.items.map((worker) => html`<tr key=${worker.id} class=${worker.stale ? "stale" : ""}>
        <th scope="row"><span class="mono">${worker.id}</span> ${worker.stale ? html`<span class="status failed">silent</span>` : worker.directive !== "run" ? html`<span class="status paused">${worker.directive}</span>` : ""}
          <span class="place" title=${worker.host}>${worker.host}, pid ${worker.pid}</span></th>
        <td class="n">${worker.jobs.length} / ${worker.slots}</td>
        <td class="types">${worker.job_types.join(", ")}</td>
        <td>${worker.jobs.slice(0, RUNS_SHOWN).map((id) => html`<a class="mono" href=${link("jobs", { id })} title=${id}>${shortId(id)}</a> `)}${worker.jobs.length > RUNS_SHOWN ? `and ${worker.jobs.length - RUNS_SHOWN} more` : ""}</td>
        <td class="n"><${Time} at=${worker.last_heartbeat_at} now=${now} /></td>
        <td><span class="actions"><button disabled=${busy || !may("admin") || worker.directive !== "run"} onClick=${tell(worker, "quiet")} title="Finish what runs, take no more">Quiet</button>
          <button class="danger" disabled=${busy || !may("admin") || worker.directive === "stop"} onClick=${tell(worker, "stop")} title="End when what runs has ended">Stop</button></span></td>
      </tr>`)}</tbody>
    </table></section>`}`;
}
