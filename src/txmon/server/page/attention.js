// Reaching somebody who does not look: the title and the icon of the tab, a notification of the browser, a sound.
import { $, isolated, root, say, store, stored } from "./dom.js";
import * as feed from "./feed.js";
import { known, listen, worstFirst } from "./store.js";

const own = document.title;
let base = own;
let audio = null;

function title() {
  const rows = worstFirst(known.incidents.values());
  if (!document.title.match(/^\(\d+\)|^txmon$/)) base = document.title;
  const text = rows.length ? `(${rows.length}) ${base === "txmon" ? `${isolated(rows[0].label, rows[0].statuses)} – txmon` : base}` : base;
  if (document.title !== text) document.title = text;
  const address = new URL(rows.length ? `icons/${rows.length}` : "assets/icon.svg", root).href;
  if ($("icon").href !== address) $("icon").href = address;
}

// Two short tones; a browser allows them once somebody has pressed a button of the page
function sound() {
  if (stored("sound") !== "on") return;
  audio = audio || new AudioContext();
  [660, 880].forEach((pitch, i) => {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const at = audio.currentTime + i * 0.22;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.15, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.2);
  });
}

function notify(row) {
  if (stored("notify") !== "on" || !("Notification" in window) || Notification.permission !== "granted") return;
  const made = new Notification(`txmon: ${row.label}`, {
    body: row.explanation || row.text, tag: row.id, icon: new URL("icons/1", root).href,
  });
  made.addEventListener("click", () => {
    window.focus();
    location.href = new URL(`incidents/${encodeURIComponent(row.id)}`, root).href;
  });
}

function drawButtons() {
  $("sound").setAttribute("aria-pressed", String(stored("sound") === "on"));
  const granted = "Notification" in window && Notification.permission === "granted";
  $("notify").setAttribute("aria-pressed", String(stored("notify") === "on" && granted));
}

export function begin() {
  const heard = new Set();
  listen((kind, what) => {
    if (kind === "all") for (const id of known.incidents.keys()) heard.add(id);
    if (kind === "incident") {
      const fresh = what.state !== "resolved" && (!heard.has(what.id) || what.state === "reopened");
      heard.add(what.id);
      if (fresh && feed.leads()) { notify(what); sound(); } // of many tabs, one
    }
    if (kind === "all" || kind === "incident") title();
  });
  $("sound").addEventListener("click", () => {
    store("sound", stored("sound") === "on" ? "off" : "on");
    drawButtons();
    sound();
  });
  $("notify").addEventListener("click", async () => {
    if (!("Notification" in window)) { say($("said"), "This browser has no notifications, or this page is not on https."); return; }
    const on = stored("notify") !== "on" || Notification.permission !== "granted";
    if (on && (await Notification.requestPermission()) !== "granted") {
      say($("said"), "The browser does not allow notifications of this page.");
      return;
    }
    store("notify", on ? "on" : "off");
    say($("said"), on ? "The browser notifies you of new incidents while a tab is open." : "");
    drawButtons();
  });
  drawButtons();
}
