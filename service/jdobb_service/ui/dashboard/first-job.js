// For whoever comes first: jobs to try, as the types' schemas give examples of them.

import { html } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post } from "./api.js";
import { curl } from "./curl.js";
import { Code, Failure } from "./parts.js";
import { go, link } from "./router.js";
import { may } from "./session.js";

const SHOWN = 6;

export function FirstJob({ types }) {
  const { run, busy, error } = useAction();
  const samples = types.flatMap(samplesOf).slice(0, SHOWN);
  const enqueue = (sample) => run(async () => {
    const { id } = await post("jobs", sample);
    go(link("jobs", { id }));
  });
  return html`<section class="card">
    <h2>No job has come yet.</h2>
    ${samples.length > 0 ? html`<p>Put in one that the job types give as an example, and see it run:</p>
    <div class="scroll"><table class="samples"><tbody>${samples.map((sample) => html`<tr>
      <th scope="row">${sample.job_type}</th><td class="says"><span class="message mono">${JSON.stringify(sample.data)}</span></td>
      <td><button disabled=${busy || !may("enqueue")} onClick=${() => enqueue(sample)}>Enqueue it</button></td>
    </tr>`)}</tbody></table></div>
    <${Failure} error=${error} />
    <p><a href=${link("enqueue")}>Enqueue another one</a>, or do it from a shell:</p>` : html`
    <p><a href=${link("enqueue")}>Enqueue the first one</a>, or do it from a shell:</p>`}
    <${Code} text=${curl(JSON.stringify(samples[0] ?? { job_type: "hello", data: { text: "hello" } }))} label="the call" />
    ${!types.length && html`<p class="faint">No worker has told of its job types: <code>jdobb worker module:router</code> starts one.</p>`}
  </section>`;
}

/** Return jobs of a type that its schema calls examples; anything will do where there is no schema. */
function samplesOf({ job_type, schema }) {
  return (schema ? examplesOf(schema) : [{}]).map((data) => ({ job_type, data }));
}

/** Return the data that a schema gives as examples. */
export function examplesOf(schema) {
  return (schema?.examples ?? []).filter((one) => one !== null && typeof one === "object" && !Array.isArray(one));
}
