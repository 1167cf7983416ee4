"use strict";
// The page shows GET v1/overview, asked for once a second. Whatever it shows was
// perhaps chosen by clients (topics, rooms, users), so it goes into textContent,
// never into markup.

const EVERY = 1000, PATIENCE = 5000, KEPT = 300, STALE = 3000;
const TOKEN = "wsd-admin-token";
const $ = id => document.getElementById(id);

const worker = new URLSearchParams(location.search).get("worker"); // of a server with several
let token = sessionStorage.getItem(TOKEN) || "";
let paused = false;
let timer = 0;
let next = 0;          // of the history
let started = "";      // of the server whose history it is
let history = [];      // rows
let column = {};       // name: place in a row
let heard = 0;         // when the last answer came

// Text

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

function count(n) { return whole.format(n); }

function several(n, what) { return count(n) + " " + what + (n === 1 ? "" : "s"); }

function short(n) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (n >= 10 * size) return (n >= 100 * size ? whole : tenth).format(n / size) + unit;
  }
  return whole.format(n);
}

function rate(n) { return n === 0 ? "0" : n < 10 ? tenth.format(n) : short(n); }

function bytes(n) {
  let unit = 0;
  for (; n >= 1000 && unit < 4; unit++) n /= 1024;
  return (unit === 0 || n >= 100 ? whole : tenth).format(n) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

function ms(n) { return n >= 100 ? whole.format(n) : n >= 1 ? tenth.format(n) : n.toFixed(2); }

function percent(share) { return (share > 0 && share < .1 ? tenth : whole).format(share * 100) + " %"; }

function since(time) {
  const s = Math.max(0, Math.round((Date.now() + skew - Date.parse(time)) / 1000));
  if (!(s >= 0)) return "";
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + s % 60 + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}
let skew = 0; // the server's clock against the browser's, in ms

// Elements

function make(name, className, parent) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (parent) parent.append(e);
  return e;
}

// plain shows what would be invisible or turn the text around: control characters
// and those that set its direction.
function plain(text) { return text.replace(/[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu, "\ufffd"); }

function put(e, text) {
  text = plain(text);
  if (e.textContent !== text) e.textContent = text;
}

function dress(e, className) { if (e.className !== className) e.className = className; }

// fill puts values into a table whose columns are [title, class, width in pixels].
// Rows are kept, so that nothing moves, and a selection stays.
function fill(id, columns, rows, empty) {
  const table = $(id);
  if (!table.tHead) {
    const group = make("colgroup", "", table);
    const head = make("tr", "", make("thead", "", table));
    for (const [title, className, width] of columns) {
      const col = make("col", className.includes("wide") ? "wide" : "", group);
      if (width) col.style.width = width + "px";
      const th = make("th", className, head);
      th.scope = "col";
      th.textContent = title;
    }
    make("tbody", "", table);
  }
  const body = table.tBodies[0];
  if (rows.length === 0) {
    if (!body.querySelector(".empty")) {
      body.replaceChildren();
      const td = make("td", "empty", make("tr", "", body));
    }
    const td = body.querySelector(".empty");
    td.colSpan = [...table.tHead.rows[0].cells].filter(th => getComputedStyle(th).display !== "none").length;
    put(td, empty);
    return;
  }
  if (body.querySelector(".empty")) body.replaceChildren();
  while (body.rows.length > rows.length) body.lastElementChild.remove();
  rows.forEach((row, i) => {
    const tr = body.rows[i] || make("tr", "", body);
    row.forEach((value, j) => {
      const td = tr.cells[j] || make("td", columns[j][1], tr);
      cell(td, columns[j][1], value);
    });
  });
}

// cell shows a text, or {text, title, tone, pill, share}.
function cell(td, className, value) {
  const v = typeof value === "object" ? value : { text: value };
  dress(td, v.tone ? className + " " + v.tone : className);
  if (v.pill) {
    const pill = td.firstElementChild || make("span", "", td);
    dress(pill, "pill " + v.pill);
    put(pill, v.text);
  } else if (v.share !== undefined) {
    bar(td.firstElementChild || make("span", "bar", td), v.share);
  } else {
    put(td, v.text);
  }
  const title = plain(v.title || (td.scrollWidth > td.clientWidth ? v.text : ""));
  if (td.title !== title) td.title = title;
}

function bar(e, share) {
  const fill = e.firstElementChild || make("i", "", e);
  dress(e, share >= .95 ? "bar bad" : share >= .8 ? "bar warn" : "bar");
  fill.style.width = Math.min(100, share * 100).toFixed(1) + "%";
}

// Tiles

const SVG = "http://www.w3.org/2000/svg";
const tiles = {};

function tile(id, title, names, show) {
  const e = make("article", "tile", $("tiles"));
  const inside = make("div", "", e);
  make("h2", "", inside).textContent = title;
  const value = make("span", "value", inside);
  const t = { e, show, names, main: make("b", "", value), unit: make("small", "", value), note: make("span", "note", inside), meter: null };
  t.main.style.fontWeight = "inherit";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 " + (KEPT - 1) + " 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["area", "line"]) {
    t[name] = document.createElementNS(SVG, "path");
    t[name].setAttribute("class", name);
    svg.append(t[name]);
  }
  e.append(svg);
  tiles[id] = t;
}

// spark draws the sum of some columns, the newest at the right.
function spark(t) {
  const values = history.map(row => t.names.reduce((sum, name) => sum + row[column[name]], 0));
  const top = Math.max(...values, t.least || 0);
  t.peak = Math.max(0, ...values);
  const at = values.map((v, i) => (KEPT - values.length + i) + "," + (top > 0 ? 38 - 34 * v / top : 38).toFixed(1));
  t.line.setAttribute("d", at.length ? "M" + at.join("L") : "");
  t.area.setAttribute("d", at.length ? "M" + (KEPT - values.length) + ",40L" + at.join("L") + "L" + (KEPT - 1) + ",40Z" : "");
}

tile("connections", "Connections", ["connections"], (t, n) => {
  const c = n.connections;
  say(t, count(c.total), "of " + short(c.limit), (c.limit > 0 ? percent(c.total / c.limit) + " of the limit, " : "") + count(c.raw) + " raw, " + count(c.sio) + " Socket.IO" +
    (c.polling ? " (" + count(c.polling) + " polling)" : ""), c.total >= c.limit ? "bad" : c.total >= .8 * c.limit ? "warn" : "");
});
tile("in", "Messages in", ["messages_in"], (t, n) => say(t, rate(n.rates.messages_in), "/s", bytes(n.rates.bytes_in) + "/s, most " + rate(t.peak) + "/s in 5 min"));
tile("out", "Messages out", ["messages_out"], (t, n) => say(t, rate(n.rates.messages_out), "/s", bytes(n.rates.bytes_out) + "/s, most " + rate(t.peak) + "/s in 5 min"));
tile("lag", "Loop lag", ["loop_lag_ms"], (t, n) => say(t, ms(n.loop_lag_ms), "ms",
  "busiest loop " + percent(n.loop_busy) + ", most " + ms(t.peak) + " ms in 5 min", lagTone(n.loop_lag_ms)));
tile("broker", "Broker lag", ["broker_lag_ms"], (t, n) => {
  const b = n.broker;
  if (!b) return say(t, "–", "", "no Redis: this server is alone");
  if (!b.up) return say(t, "down", "", b.reason, "bad");
  say(t, ms(b.lag_ms), "ms", count(b.queued) + " queued, " + count(b.gaps) + " gaps, " + count(b.lost) + " lost", b.lag_ms >= 1000 ? "bad" : b.lag_ms >= 100 ? "warn" : "");
});
tile("trouble", "Dropped and refused", ["dropped", "refused"], (t, n) => say(t, rate(n.rates.dropped + n.rates.refused), "/s",
  rate(n.rates.dropped) + "/s messages dropped, " + rate(n.rates.refused) + "/s refused", n.rates.dropped + n.rates.refused > 0 ? "warn" : ""));
tiles.lag.least = tiles.broker.least = 1;
tiles.trouble.least = 1;

function lagTone(n) { return n >= 250 ? "bad" : n >= 50 ? "warn" : ""; }

function say(t, main, unit, note, tone) {
  put(t.main, main);
  put(t.unit, unit ? " " + unit : "");
  put(t.note, note);
  t.note.title = plain(note);
  dress(t.main, tone || "");
}

// What an answer shows

function show(x) {
  const self = x.nodes[0];
  skew = Date.parse(x.time) - Date.now();
  put($("self"), self.id);
  document.title = self.id + " · wsd";
  put($("state"), self.state);
  dress($("state"), "pill " + self.state);
  $("state").title = (self.unready || []).join("; ");
  put($("about"), self.version + ", up " + since(self.started) + (self.unready && !self.draining ? ", unready: " + self.unready.join("; ") : ""));
  for (const t of Object.values(tiles)) {
    spark(t);
    t.show(t, self);
  }
  showNodes(x);
  showPlaces(x.node);
  showClients(x.node);
  showTrouble(x.node);
  showLoops(x.node);
  showFacts(self, x.node);
}

function showNodes(x) {
  const all = x.nodes.reduce((sum, n) => n.state === "silent" ? sum : sum + n.connections.total, 0);
  put($("nodes-note"), x.cluster.error || (x.cluster.enabled ? count(x.nodes.length + (x.cluster.hidden || 0)) + " in the cluster, " + several(all, "connection") : "without Redis a server is alone"));
  fill("nodes", [["Node", ""], ["State", "", 90], ["Connections", "num", 96], ["", "", 100], ["In /s", "num", 76], ["Out /s", "num", 76],
    ["Loop lag", "num", 82], ["Broker lag", "num", 86], ["Memory", "num", 90], ["Up", "num", 104], ["Version", "num", 110]],
  x.nodes.map(n => n.state === "silent" ? [n.id, { text: "silent", pill: "silent", title: "has told nothing for 10 s" }, "", { share: 0 }, "", "", "", "", "", "", ""] : [
    n.id, { text: n.state, pill: n.state, title: (n.unready || []).join("; ") }, count(n.connections.total),
    { share: n.connections.limit ? n.connections.total / n.connections.limit : 0, title: "of " + count(n.connections.limit) },
    rate(n.rates.messages_in), rate(n.rates.messages_out),
    { text: ms(n.loop_lag_ms) + " ms", tone: lagTone(n.loop_lag_ms) },
    !n.broker ? "–" : n.broker.up ? ms(n.broker.lag_ms) + " ms" : { text: "down", tone: "bad", title: n.broker.reason },
    bytes(n.memory.rss || n.memory.heap), since(n.started), n.version,
  ]));
}

function places(list) {
  return list.map(p => [{ text: (p.namespace && p.namespace !== "/" ? p.namespace + " " : "") + p.name, title: p.name }, count(p.members), p.fan_out === null ? "…" : rate(p.fan_out)]);
}

function showPlaces(node) {
  put($("topics-note"), count(node.topics.count) + " with subscribers, by fan-out");
  fill("topics", [["Topic", ""], ["Subscribers", "num", 92], ["Fan-out /s", "num", 84]], places(node.topics.top), "No topic has subscribers.");
  put($("rooms-note"), several(node.rooms.sockets, "socket") + " in " + several(node.rooms.namespaces, "namespace") + ", by fan-out");
  fill("rooms", [["Room", ""], ["Members", "num", 92], ["Fan-out /s", "num", 84]], places(node.rooms.top), "No room has members.");
}

function showClients(node) {
  fill("slow", [["Client", ""], ["User", "wide", 120], ["Path", "wide", 140], ["Waiting", "num", 84]],
    node.slowest.map(c => [{ text: c.remote || c.id, title: c.kind + " " + c.id }, c.user || "–", c.path || c.kind, bytes(c.buffered)]),
    "Nothing waits for any client.");
}

function showTrouble(node) {
  fill("trouble", [["What", "", 80], ["Reason", ""], ["Rate", "num", 72], ["Total", "num", 84]],
    node.trouble.map(t => [t.what, { text: t.reason ? t.reason.replaceAll("_", " ") : t.metric.replace(/^wsd_|_total$/g, "").replaceAll("_", " "), title: t.metric },
      { text: t.rate ? rate(t.rate) + "/s" : "–", tone: t.rate ? "warn" : "" }, count(t.total)]),
    "Nothing was dropped or refused.");
}

function showLoops(node) {
  fill("loops", [["Loop", "", 52], ["Connections", "num", 92], ["In /s", "num", 64], ["Busy", "num", 56], ["", "wide"], ["Lag", "num", 76]],
    node.loops.map(l => [String(l.id), count(l.connections), rate(l.messages_in), percent(l.busy), { share: l.busy },
      l.hung ? { text: "hangs", tone: "bad" } : { text: ms(l.lag_ms) + " ms", tone: lagTone(l.lag_ms) }]), "No loop runs.");
}

function showFacts(self, node) {
  const facts = [
    ["Memory", bytes(self.memory.heap) + " heap" + (self.memory.rss ? ", " + bytes(self.memory.rss) + " resident" : "") + (self.memory.limit ? ", limit " + bytes(self.memory.limit) : "")],
    ["Goroutines", count(self.goroutines)],
    ["File descriptors", self.fds.open < 0 ? "unknown" : count(self.fds.open) + (self.fds.limit ? " of " + count(self.fds.limit) : "")],
    ["Accepted", count(node.totals.accepted) + ", " + rate(self.rates.accepted) + "/s"],
    ["Received", count(node.totals.messages_in) + ", " + bytes(node.totals.bytes_in)],
    ["Sent", count(node.totals.messages_out) + ", " + bytes(node.totals.bytes_out)],
  ];
  const r = node.links;
  if (r) {
    const queued = r.queues.reduce((sum, q) => sum + q.bytes, 0);
    facts.push(
      ["Adapter", r.adapter],
      ["Subscriptions", count(r.subscriptions) + " of " + count(r.channels) + " on " + several(r.connections, "connection")],
      ["To Redis", count(r.sent) + ", " + bytes(queued) + " queued"],
      ["From Redis", count(r.received)],
      ["Probes lost", count(r.probes_lost) + ", " + several(r.reconnects, "reconnect")],
    );
  }
  const dl = $("facts");
  facts.forEach(([name, text], i) => {
    const dt = dl.children[2 * i] || make("dt", "", dl), dd = dl.children[2 * i + 1] || make("dd", "", dl);
    put(dt, name);
    put(dd, text);
  });
  while (dl.children.length > 2 * facts.length) dl.lastElementChild.remove();
}

// Asking

function remember(x) {
  if (x.nodes[0].started !== started) {
    started = x.nodes[0].started;
    history = [];
    const asked = next;
    next = 0;
    if (asked !== 0 && x.history.rows.length < KEPT) return false; // another server: it has told too little
  }
  x.history.columns.forEach((name, i) => { column[name] = i; });
  // Two questions may have been under way, with the same rows in both answers.
  const first = x.history.next - x.history.rows.length;
  history = history.concat(x.history.rows.slice(Math.max(0, next - first))).slice(-KEPT);
  next = Math.max(next, x.history.next);
  return true;
}

async function ask() {
  timer = 0;
  const mine = token;
  const abort = new AbortController();
  const late = setTimeout(() => abort.abort(), PATIENCE);
  try {
    const url = new URL("v1/overview?since=" + next, document.baseURI);
    if (worker) url.searchParams.set("worker", worker);
    const res = await fetch(url, {
      signal: abort.signal, cache: "no-store", redirect: "error", credentials: "omit",
      headers: token ? { Authorization: "Bearer " + token } : {},
    });
    if (mine !== token) return; // it was forgotten meanwhile
    if (res.status === 401) return login();
    if (!res.ok) throw new Error("the server answers " + res.status);
    const x = await res.json();
    heard = Date.now();
    const all = remember(x);
    $("login").hidden = true;
    $("main").hidden = $("pause").hidden = false;
    $("forget").hidden = token === "";
    show(x);
    tell("");
    schedule(all ? EVERY : 0);
  } catch (err) {
    tell(err.name === "AbortError" ? "it does not answer in time" : err instanceof TypeError ? "it can't be reached" : err.message);
    schedule(EVERY);
  } finally {
    clearTimeout(late);
  }
}

function schedule(wait) {
  clearTimeout(timer);
  timer = paused || document.hidden ? 0 : setTimeout(ask, wait);
}

// tell shows whether the figures are live; why says why not.
function tell(why) {
  const gone = why !== "" && Date.now() - heard > STALE;
  if (gone || why === "") {
    $("gone").hidden = !gone;
    $("main").classList.toggle("stale", gone);
  }
  if (gone) {
    put($("state"), "gone");
    dress($("state"), "pill silent");
  }
  if (gone) put($("gone"), "No word from the server" + (heard ? " since " + new Date(heard).toLocaleTimeString() + ": what is shown is of then" : "") + ". Asked again each second; " + why + ".");
  put($("status"), gone ? "no answer" : paused ? "paused" : "live");
}

function login() {
  put($("wrong"), token ? "The server does not take this token." : "");
  token = "";
  sessionStorage.removeItem(TOKEN);
  $("main").hidden = $("pause").hidden = $("forget").hidden = $("gone").hidden = true;
  put($("status"), "");
  $("login").hidden = false;
  $("token").focus();
}

$("login").addEventListener("submit", event => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  sessionStorage.setItem(TOKEN, token);
  ask();
});
$("forget").addEventListener("click", () => {
  clearTimeout(timer);
  token = "";
  login();
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  put($("status"), paused ? "paused" : "live");
  schedule(0);
});
document.addEventListener("visibilitychange", () => schedule(0));
ask();
