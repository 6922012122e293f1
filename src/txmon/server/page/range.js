// Which time the charts show: the newest so-and-so many minutes, or a range that was zoomed to. It is in the address.
const listeners = new Set();
const LONG = { "1h": 60, "6h": 360, "24h": 1440, "7d": 10080, "30d": 43200 };
const LEAST = 5 * 60; // seconds
const MOST = 400 * 86400;
let minutes = 360;
let fixed = null; // [from, to] in seconds
let last = null; // end of the newest bucket
let oldest = null;

function read() {
  const query = new URLSearchParams(location.search);
  minutes = LONG[query.get("range")] || 360;
  const [from, to] = ["from", "to"].map((name) => Date.parse(query.get(name) || "") / 1e3);
  fixed = from < to && to - from <= MOST ? [from, to] : null;
}
read();

const text = (seconds) => new Date(Math.round(seconds) * 1e3).toISOString().replace(".000Z", "Z");
const nameOf = (size) => Object.keys(LONG).find((name) => LONG[name] === size);

function write(push) {
  const address = new URL(location.href);
  for (const name of ["range", "from", "to"]) address.searchParams.delete(name);
  if (fixed) {
    address.searchParams.set("from", text(fixed[0]));
    address.searchParams.set("to", text(fixed[1]));
  } else if (minutes !== 360) address.searchParams.set("range", nameOf(minutes));
  const shown = address.href.replaceAll("%3A", ":");
  if (shown === location.href) return;
  if (push) history.pushState(null, "", shown);
  else history.replaceState(null, "", shown);
}

function changed(push) {
  write(push);
  for (const act of listeners) act();
}

addEventListener("popstate", () => { read(); for (const act of listeners) act(); });

export const onRange = (act) => listeners.add(act);
export const isLive = () => fixed === null;
export const liveMinutes = () => minutes;

// [from, to] in seconds
export function current() {
  if (fixed) return fixed;
  const end = last === null ? Date.now() / 1e3 : last;
  return [Math.max(end - minutes * 60, Math.min(oldest ?? -Infinity, end - LEAST)), end];
}

export function setLast(seconds) { last = seconds; }
export function setOldest(seconds) { oldest = seconds; }
export function reaches(size) { return oldest !== null && last !== null && last - oldest > size * 60; }

export function showLive(size) {
  minutes = size || minutes;
  fixed = null;
  changed(true);
}

export function zoom(from, to, push = true) {
  const end = last ?? Date.now() / 1e3;
  const size = Math.min(MOST, Math.max(LEAST, to - from));
  const middle = (from + to) / 2;
  let begin = Math.max(middle - size / 2, Math.min(oldest ?? -Infinity, end - LEAST));
  begin = Math.min(begin, end - LEAST);
  fixed = [Math.floor(begin), Math.ceil(Math.min(begin + size, Math.max(end, begin + LEAST)))];
  changed(push);
}

// Without a word in the address: what the page of an incident begins with
export function begin(from, to) {
  if (new URLSearchParams(location.search).has("from")) return;
  fixed = [from, to];
}

// by: -1 is one whole screen back
export function pan(by) {
  const [from, to] = current();
  const step = (to - from) * by;
  if (last !== null && to + step >= last && by > 0) { showLive(); return; }
  zoom(from + step, to + step);
}

export function scale(by, around, push = false) {
  const [from, to] = current();
  const middle = around ?? (from + to) / 2;
  zoom(middle - (middle - from) * by, middle + (to - middle) * by, push);
}
