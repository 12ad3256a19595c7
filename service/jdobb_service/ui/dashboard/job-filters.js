// Which jobs the list shows: everything that is chosen stands in the address.

import { html } from "../vendor/preact.js";
import { useResource } from "./api.js";
import { STATUSES, Select, number } from "./parts.js";
import { go, link } from "./router.js";

const LOOK_EVERY = 5000;

/** The filter that the address names, as the API takes it. */
export function filterOf(query) {
  const filter = { status: query.getAll("status"), job_type: query.getAll("job_type") };
  for (const [name, value] of query) if (name.startsWith("metadata.") || name.startsWith("created_")) filter[name] = value;
  return filter;
}

function changed(query, name, value) {
  const next = new URLSearchParams(query);
  next.delete(name);
  if (value) next.append(name, value);
  const text = next.toString();
  return text ? `#/jobs?${text}` : "#/jobs";
}

export function Tabs({ filter, query }) {
  const { data } = useResource("stats", { every: LOOK_EVERY });
  const counts = data && (filter.job_type.length ? countsOf(data, filter.job_type) : data.counts);
  const total = counts && STATUSES.reduce((all, status) => all + counts[status], 0);
  const [chosen] = filter.status;
  const tab = (status, label, count) => html`
    <a class=${`tab ${status ?? "all"}`} href=${changed(query, "status", status)} aria-current=${chosen === status ? "page" : undefined}>
      ${label} <span class="count">${count === undefined ? "" : number(count)}</span></a>`;
  return html`<nav class="tabs" aria-label="Status">
    ${tab(undefined, "all", total)}${STATUSES.map((status) => tab(status, status, counts?.[status]))}
  </nav>`;
}

function countsOf(stats, jobTypes) {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const name of jobTypes) {
    if (!Object.hasOwn(stats.job_types, name)) continue;
    for (const status of STATUSES) counts[status] += stats.job_types[name].counts[status];
  }
  return counts;
}

export function Search() {
  const find = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) go(link("jobs", { id }));
  };
  return html`<form class="search" role="search" onSubmit=${find}>
    <input id="search" name="id" placeholder="Find by id" aria-label="Find a job by its id" autocomplete="off" spellcheck=${false} />
  </form>`;
}

export function Filters({ filter, query }) {
  const { data: types } = useResource("job-types", { matters: () => false });
  const add = (event) => {
    event.preventDefault();
    const field = event.target.elements.metadata;
    const [name, ...value] = field.value.split("=");
    if (name && value.length) go(changed(query, `metadata.${name.trim()}`, value.join("=").trim()));
    field.value = "";
  };
  const chips = Object.entries(filter).flatMap(([name, values]) =>
    name === "status" ? [] : [values].flat().map((value) => [name, value]),
  );
  return html`<div class="row filters">
    <${Select} aria-label="Job type" value=${filter.job_type[0] ?? ""} onChoose=${(value) => go(changed(query, "job_type", value))}
      options=${[["", "Any job type"], ...(types?.items ?? []).map((one) => one.job_type)]} />
    <form onSubmit=${add}><input name="metadata" placeholder="metadata: key=value" aria-label="Filter by metadata, key=value" autocomplete="off" /></form>
    ${chips.map(([name, value]) => html`<a class="chip" href=${changed(query, name)} title="Remove this filter">
      ${name.replace("metadata.", "")} = <strong>${value}</strong><span aria-hidden="true"> ✕</span></a>`)}
  </div>`;
}
