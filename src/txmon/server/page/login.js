// The token, once; then a cookie that no script can read.
import { $, ask, say } from "./dom.js";
import * as feed from "./feed.js";
import { known, listen, stop } from "./store.js";
import * as store from "./store.js";

function askToken() {
  document.body.dataset.login = "yes";
  $("login").hidden = false;
  $("logout").hidden = true;
  say($("state"), "not logged in");
  $("state").dataset.live = "no";
  $("token").focus();
}

export function begin() {
  listen((kind) => {
    if (kind === "login") askToken();
    if (kind !== "all") return;
    delete document.body.dataset.login;
    $("login").hidden = true;
    $("logout").hidden = !known.session;
  });
  $("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = $("token").value;
    $("token").value = "";
    try {
      await ask("v1/login", { token });
      say($("login-error"), "");
      store.begin();
    } catch (wrong) {
      const words = { 401: "This is not the token.", 429: "Too many wrong tokens. Wait a minute." };
      say($("login-error"), words[wrong.status] || `Not logged in: ${wrong.message}`);
      $("token").focus();
    }
  });
  $("logout").addEventListener("click", async () => {
    try {
      await ask("v1/logout", {});
    } catch (wrong) {
      say($("said"), `Still logged in: ${wrong.message}`);
      return;
    }
    feed.tellLogout();
    stop();
    askToken();
  });
}
