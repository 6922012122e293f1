// Starts the page: what its address asks for, and what all its views have in common.
import { $, root } from "./dom.js";
import * as acting from "./acting.js";
import * as attention from "./attention.js";
import * as board from "./board.js";
import * as feed from "./feed.js";
import * as incident from "./incident.js";
import * as key from "./key.js";
import * as login from "./login.js";
import * as status from "./status.js";
import * as store from "./store.js";
import * as theme from "./theme.js";
import { isUtc, onZone, setUtc, zoneName } from "./time.js";

function view() {
  const [folder, name] = location.pathname.slice(root.pathname.length).split("/");
  if (folder === "incidents" && name) incident.begin(decodeURIComponent(name));
  else if (folder === "keys" && name) key.begin(decodeURIComponent(name));
  else board.begin();
}

function zone() {
  const draw = () => {
    $("zone").setAttribute("aria-pressed", String(isUtc()));
    $("zone").title = `Times are ${zoneName()}`;
  };
  $("zone").addEventListener("click", () => setUtc(!isUtc()));
  onZone(draw);
  draw();
}

// For a screen on a wall: no controls, larger text; Escape ends it
function kiosk() {
  const asked = new URLSearchParams(location.search).has("kiosk");
  document.body.classList.toggle("kiosk", asked);
  if (!asked) return;
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const address = new URL(location.href);
    address.searchParams.delete("kiosk");
    location.href = address.href;
  });
}

$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  const first = document.querySelector("main:not([hidden]) section");
  first.tabIndex = -1;
  first.focus();
});
kiosk();
login.begin();
status.begin();
attention.begin();
acting.begin();
view();
zone();
theme.begin();
store.listen((kind) => { if (kind === "tick" || kind === "state") document.body.dataset.leads = String(feed.leads()); });
store.begin();
