// The live feed, one for all tabs of a browser: a browser opens six connections to a server, and each stream holds one.
// The tab that leads has the stream, and passes on what comes. The others listen to that tab.
import { root } from "./dom.js";

const KINDS = ["bucket", "verdict", "incident", "silences", "minute", "trend", "trouble", "beat", "reset"];
const ANSWER = 400; // ms that a leading tab gets to say that it is there
const SILENCE = 12000; // ms without a word, after which the stream, or the tab that leads, is taken for dead
const NAME = `txmon:${root.pathname}`;
const me = Math.random().toString(36).slice(2);
const channel = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
let source = null;
let leading = false;
let led = false; // another tab leads
let heard = Date.now();
let seen = null; // position of the newest event that this tab has taken
let handlers = {};
let retry = 0;
let epoch = 0;

const number = (position) => Number(String(position).split("-")[1]);
const boot = (position) => String(position).split("-")[0];

function take(kind, data, id) {
  heard = Date.now();
  if (id) {
    if (seen && boot(id) === boot(seen) && number(id) <= number(seen)) return; // it was in what was asked for
    if (seen && boot(id) !== boot(seen)) { handlers.reset(); return; }
    seen = id;
  }
  if (kind === "beat") return;
  if (kind === "reset") handlers.reset();
  else handlers[kind](JSON.parse(data));
}

function send(message) {
  if (channel) channel.postMessage({ from: me, ...message });
}

function open() {
  if (source) source.close();
  source = new EventSource(new URL(`v1/stream?after=${encodeURIComponent(seen || "")}`, root));
  source.addEventListener("open", () => { retry = 0; heard = Date.now(); handlers.state("live"); send({ state: "live" }); });
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      const id = kind === "minute" || kind === "trouble" || kind === "beat" || kind === "reset" ? "" : event.lastEventId;
      send({ kind, data: event.data, id });
      take(kind, event.data, id);
    });
  }
  source.addEventListener("error", () => {
    handlers.state("reconnecting");
    send({ state: "reconnecting" });
    if (source.readyState === EventSource.CLOSED) { stop(); handlers.lost(later()); } // refused, not interrupted
  });
}

function later() {
  retry = Math.min(30, retry * 2 + 1);
  return retry;
}

function lead() {
  leading = true;
  led = false;
  send({ lead: true });
  open();
}

function stop() {
  if (source) source.close();
  source = null;
  if (leading) send({ left: true });
  leading = false;
  led = false;
}

// Of several tabs that want to lead, the one whose claim stands in the storage does
function claim() {
  const mine = ++epoch;
  const still = () => mine === epoch && !led && !leading;
  let claimed = true;
  try { localStorage.setItem(`${NAME}:leader`, me); } catch { claimed = false; }
  setTimeout(() => {
    if (!still()) return;
    if (!claimed || !channel || localStorage.getItem(`${NAME}:leader`) === me) lead();
    else setTimeout(() => { if (still()) claim(); }, ANSWER + Math.random() * ANSWER);
  }, channel ? 50 + Math.random() * 100 : 0);
}

if (channel) {
  channel.addEventListener("message", ({ data: message }) => {
    if (message.ask && leading) { send({ lead: true, state: source && source.readyState === 1 ? "live" : "reconnecting" }); return; }
    if (message.lead) {
      if (leading && message.from < me) { if (source) source.close(); source = null; leading = false; } // two: one yields
      else if (leading) { send({ lead: true, state: "live" }); return; }
      led = true;
      heard = Date.now();
    }
    if (message.logout && handlers.logout) { handlers.logout(); return; }
    if (message.left) { led = false; if (seen && !leading) setTimeout(claim, Math.random() * 200); }
    if (leading || !seen) return;
    if (message.state && led) handlers.state(message.state);
    if (message.kind) { led = true; take(message.kind, message.data, message.id); }
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => { if (event.persisted) handlers.reset(); });
}

// Follow the feed from `position` on
export function begin(position, given) {
  handlers = given;
  seen = position;
  heard = Date.now();
  if (leading) { open(); return; }
  if (!channel) { lead(); return; }
  led = false;
  send({ ask: true });
  setTimeout(() => { if (!led && !leading) claim(); else if (led) handlers.state("live"); }, ANSWER);
}

export function end() {
  stop();
  seen = null;
}

// A logout in one tab is one in all
export function tellLogout() {
  send({ logout: true });
}

// How long nothing came, in ms; past SILENCE somebody has to connect again
export const silent = () => Date.now() - heard;
export const dead = () => seen !== null && Date.now() - heard > SILENCE;
export const leads = () => leading;
