/**
 * Watch the events of a job, or of several, to their end.
 *
 * EventSource gives up for good at any answer but 200. This goes on: over restarts of the service, over 401 to
 * 503 in between, over connections that have gone silent; after 204 or the last `end` it stops.
 *
 *   await watch("/jobs/42/events", (update) => { bar.value = update.progress; });
 *
 * `show(data, name)` gets each event's data; its name is "message", "gap", "end" or "server.shutdown".
 * `headers` go along with each request (`Authorization`, say), `signal` ends it, `connected` is told true or false.
 * The promise is kept at the end; a stream of job types has none.
 */
export async function watch(url, show, { headers = {}, signal, connected } = {}) {
  const address = new URL(url, location.href);
  const open = new Set(address.searchParams.getAll("job"));
  const endless = address.searchParams.has("job_type");
  let pause = 2000;
  let failures = 0;
  while (!signal?.aborted) {
    let wait = 0;
    const cut = new AbortController();
    const leave = () => cut.abort();
    signal?.addEventListener("abort", leave);
    try {
      const answer = await fetch(address, { headers, cache: "no-store", signal: cut.signal });
      if (answer.status === 204) return;
      wait = 1000 * Number(answer.headers.get("retry-after"));
      if (answer.status === 200) {
        failures = 0;
        connected?.(true);
        for await (const event of events(answer.body, leave)) {
          if (event.id) address.searchParams.set("last_event_id", event.id);
          if (event.retry) pause = Number(event.retry);
          if (!event.data) continue;
          const data = JSON.parse(event.data);
          show(data, event.event ?? "message");
          if (event.event === "end" && !endless && (open.delete(data.job_id), open.size === 0)) return;
        }
      } else await answer.body?.cancel();
    } catch (error) {
      if (error instanceof SyntaxError) throw error;
    } finally {
      signal?.removeEventListener("abort", leave);
      leave();
    }
    connected?.(false);
    wait = Math.max(wait, Math.min(30000, pause * 1.5 ** failures++) * (0.5 + Math.random()));
    await new Promise((resolve) => {
      setTimeout(resolve, wait);
      signal?.addEventListener("abort", resolve, { once: true });
    });
  }
}

/** Yield the fields of each whole event; `leave` is called when nothing came for 45 s: comments come every 15 s. */
async function* events(body, leave) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const silence = setTimeout(leave, 45000);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      yield Object.fromEntries(block.split("\n").map((line) => line.match(/^(\w*): ?(.*)$/)?.slice(1) ?? [""]));
    }
  }
}
