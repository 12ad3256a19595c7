// All jobs of a filter in a file, each as the service sends it.

import { html, useState } from "../vendor/preact.js";
import { address, request } from "./api.js";
import { items, members } from "./json.js";
import { number } from "./parts.js";

export function Export({ filter }) {
  const [state, set] = useState();
  const save = async () => {
    const lines = [];
    let cursor;
    try {
      do {
        const query = { ...filter, limit: 100, cursor, include: "data,results,errors" };
        const page = members(await (await request("GET", address("jobs", query))).text());
        lines.push(...items(page.items).map((job) => `${job}\n`));
        cursor = JSON.parse(page.next_cursor);
        set(`${number(lines.length)} …`);
      } while (cursor);
      const anchor = document.createElement("a");
      anchor.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
      anchor.download = "jobs.ndjson";
      anchor.click();
      URL.revokeObjectURL(anchor.href);
      set(undefined);
    } catch (error) {
      set(error.message);
    }
  };
  return html`<button onClick=${save}>${state ?? "Export NDJSON"}</button>`;
}
