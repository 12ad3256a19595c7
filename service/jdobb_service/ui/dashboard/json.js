// JSON as it was sent: numbers beyond 2^53 and the order of keys stay, which JSON.parse does not promise.

const TOKEN = /"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|true|false|null|[{}[\],:]/g;

/** Return the texts between the outermost brackets, as they stand between commas. */
function split(text) {
  const found = [];
  let depth = 0;
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    if (token === "{" || token === "[") {
      depth += 1;
      if (depth === 1) from = match.index + 1;
    } else if (token === "}" || token === "]") depth -= 1;
    const ends = depth === 0 || (depth === 1 && token === ",");
    if (!ends) continue;
    const part = text.slice(from, match.index).trim();
    if (part) found.push(part);
    from = match.index + 1;
  }
  return found;
}

/** Return the text of each item of a JSON array. */
export const items = split;

/** Return the text of each member of a JSON object, by its name. */
export function members(text) {
  return Object.fromEntries(
    split(text).map((part) => {
      const [name] = part.match(/^"(?:[^"\\]|\\.)*"/);
      return [JSON.parse(name), part.slice(name.length).replace(/^\s*:\s*/, "")];
    }),
  );
}

/** Return the text with a line for each member and item; its values are as they were. */
export function indented(text) {
  let out = "";
  let depth = 0;
  let before = "";
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      if (before !== "{" && before !== "[") out += line();
      out += token;
    } else {
      if (before === "{" || before === "[" || before === ",") out += line();
      out += token === ":" ? ": " : token;
      if (token === "{" || token === "[") depth += 1;
    }
    before = token;
  }
  return out;
}

/** Yield the parts of a JSON text with what each is: key, string, number, word or mark. */
export function* parts(text) {
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    if (match.index > last) yield ["mark", text.slice(last, match.index)];
    last = match.index + token.length;
    if (token[0] === '"') yield [/^\s*:/.test(text.slice(last, last + 2)) ? "key" : "string", token];
    else if (/^[-0-9]/.test(token)) yield ["number", token];
    else if (/^[tfn]/.test(token)) yield ["word", token];
    else yield ["mark", token];
  }
  if (last < text.length) yield ["mark", text.slice(last)];
}
