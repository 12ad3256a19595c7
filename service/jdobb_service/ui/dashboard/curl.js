// The call that puts a job in, for a shell.

import { BASE } from "./api.js";
import { needsKey } from "./session.js";

export function curl(body) {
  const key = needsKey() ? ' -H "Authorization: Bearer $JDOBB_API_KEY"' : "";
  return `curl -X POST '${new URL("jobs", BASE)}'${key} -H 'Content-Type: application/json' -d '${body.replaceAll("'", String.raw`'\''`)}'`;
}
