// The dashboard: its frame, and which screen stands in it.

import { html, render, useEffect, useErrorBoundary, useRef, useState } from "../vendor/preact.js";
import { useResource } from "./api.js";
import { Enqueue } from "./enqueue.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { Keys, useKeys, useSequence } from "./keys.js";
import { learnTypes, start, useConnected } from "./live.js";
import { Overview } from "./overview.js";
import { Preferences } from "./preferences.js";
import { go, link, useRoute } from "./router.js";
import { Gate } from "./session.js";
import { change, settings, useSettings } from "./settings.js";
import { JobTypes } from "./types.js";
import { Workers } from "./workers.js";

const SCREENS = [
  ["", "Overview", "o"],
  ["jobs", "Jobs", "j"],
  ["types", "Job types", "t"],
  ["workers", "Workers", "w"],
  ["enqueue", "Enqueue", "e"],
  ["settings", "Settings", "s"],
];

function Frame() {
  const route = useRoute();
  const [help, setHelp] = useState(false);
  const [seeking, seek] = useState(false);
  const { data: types } = useResource("job-types");
  useEffect(() => {
    if (types) learnTypes(types.items.map((one) => one.job_type));
  }, [types]);
  useEffect(() => {
    const found = SCREENS.find(([screen]) => screen === route.screen);
    document.title = `${route.id || found?.[1] || "Not found"} · jdobb`;
    scrollTo(0, 0);
  }, [route.screen, route.id]);
  useEffect(() => {
    const field = seeking && document.getElementById("search");
    if (!field) return;
    field.focus();
    seek(false);
  }, [seeking, route]);
  useSequence("g", Object.fromEntries(SCREENS.map(([screen, , key]) => [key, () => go(link(screen))])));
  useKeys({
    "/": () => {
      if (route.screen !== "jobs" || route.id) go(link("jobs"));
      seek(true);
    },
    p: () => change({ live: !settings.live }),
    "?": () => setHelp(!help),
    Escape: () => setHelp(false),
  });
  return html`<a class="skip" href="#content" onClick=${(event) => { event.preventDefault(); document.getElementById("content").focus(); }}>To the content</a>
    <aside><${Nav} screen=${route.screen} onHelp=${() => setHelp(!help)} /></aside>
    <main id="content" tabindex="-1"><${Banner} /><${Screen} key=${`${route.screen}/${route.id}`} route=${route} /></main>
    ${help && html`<div class="help card" role="dialog" aria-label="Keys"><header class="row"><h2>Keys</h2><span class="actions"><button class="quiet" autofocus onClick=${() => setHelp(false)}>Close</button></span></header><${Keys} /></div>`}`;
}

/** A screen, or that it failed: the rest of the page goes on. */
function Screen({ route }) {
  const [error, again] = useErrorBoundary((failure) => console.error(failure));
  if (!error) return show(route);
  return html`<div class="notice bad" role="alert"><strong>This screen has met an error.</strong> ${error.message}
    <button class="quiet" onClick=${again}>Try again</button></div>`;
}

function show({ screen, id, query }) {
  switch (screen) {
    case "":
      return html`<${Overview} />`;
    case "jobs":
      return id ? html`<${Job} key=${id} id=${id} />` : html`<${Jobs} query=${query} />`;
    case "types":
      return html`<${JobTypes} />`;
    case "workers":
      return html`<${Workers} />`;
    case "enqueue":
      return html`<${Enqueue} key=${query.toString()} query=${query} />`;
    case "settings":
      return html`<${Preferences} />`;
    default:
      return html`<h1>There is no such page</h1><p><a href="#/">To the overview</a></p>`;
  }
}

function Nav({ screen, onHelp }) {
  const links = useRef();
  useEffect(() => {
    const [row, here] = [links.current, links.current.querySelector("[aria-current]")];
    if (here) row.scrollLeft = here.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
  }, [screen]);
  return html`<a class="brand" href="#/">jdobb</a>
    <nav aria-label="Screens" ref=${links}>${SCREENS.map(([to, name]) => html`
      <a href=${link(to)} aria-current=${to === screen ? "page" : undefined}>${name}</a>`)}</nav>
    <footer><${Live} /><span><button class="quiet" onClick=${onHelp}>Keys</button><a href="docs">API</a></span></footer>`;
}

function Live() {
  const { live } = useSettings();
  const connected = useConnected();
  const state = !live ? "paused" : connected ? "live" : "away";
  return html`<button class=${`live ${state}`} aria-pressed=${live} onClick=${() => change({ live: !live })}
    title=${live ? "Pause live updates" : "Go on with live updates"}><i></i>${live ? (connected ? "Live" : "Reconnecting") : "Paused"}</button>`;
}

function Banner() {
  const connected = useConnected();
  if (connected) return null;
  return html`<div class="notice warn" role="status">The connection is lost. Reconnecting …</div>`;
}

start();
render(html`<${Gate}><${Frame} /><//>`, document.getElementById("app"));
