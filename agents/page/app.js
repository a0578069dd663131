// The page keeps what the worker tells it and draws it. Posts are hostile text: they reach the page through textContent only,
// and a link only if it is http or https.

import { sparkline } from "/static/chart.js";

const byId = (id) => document.getElementById(id);
const moments = new Map(); // moment_id -> latest moment
const cards = new Map(); // moment_id -> its <li>
const MAX_CARDS = 60;
let show = "all";

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

/** An element with text and children; `text` is never markup. */
function el(name, className, text, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  node.append(...children.filter(Boolean));
  return node;
}

/** The URL if a browser may open it, else null. */
function safeUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** `hashtag:lightsout` as people write it. */
function termText(term) {
  const kind = term.slice(0, term.indexOf(":"));
  const value = term.slice(kind.length + 1);
  return { hashtag: "#" + value, mention: "@" + value, all: "all posts" }[kind] ?? value;
}

function chip(term) {
  const node = el("li", "chip", termText(term));
  node.dataset.kind = term.slice(0, term.indexOf(":"));
  node.dir = "auto";
  return node;
}

function when(ms) {
  const time = new Date(ms);
  const node = el("time", "", Date.now() - ms < 86_400_000 ? clock.format(time) : `${day.format(time)} ${clock.format(time)}`);
  node.dateTime = time.toISOString();
  return node;
}

function fact(name, value) {
  return el("div", "", undefined, el("dt", "", name), el("dd", "", value));
}

function feeling(moment) {
  if (moment.sentiment === null) return "unknown";
  const word = moment.sentiment > 0.15 ? "positive" : moment.sentiment < -0.15 ? "negative" : "neutral";
  if (moment.sentiment_shift === null || Math.abs(moment.sentiment_shift) < 0.1) return word;
  return `${word}, ${moment.sentiment_shift > 0 ? "up" : "down"} ${precise.format(Math.abs(moment.sentiment_shift))}`;
}

function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function shares(counts) {
  const total = sum(counts);
  const largest = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 3);
  return largest.map(([name, count]) => `${name || "unknown"} ${number.format((100 * count) / total)} %`).join(", ");
}

function sample(post) {
  const node = el("li", "sample");
  const quote = el("blockquote", "", post.text);
  quote.dir = "auto";
  if (post.lang) quote.lang = post.lang;
  const url = safeUrl(post.url);
  const source = url ? el("a", "", post.platform || "post") : el("span", "", post.platform);
  if (url) Object.assign(source, { href: url, rel: "noopener noreferrer nofollow", target: "_blank" });
  const footer = el("p", "source", undefined, source);
  if (post.event_ms !== null) footer.append(" · ", when(post.event_ms));
  node.append(quote, footer);
  return node;
}

function severityBadge(moment) {
  const badge = el("span", "severity", moment.organic ? String(moment.severity) : "flood");
  badge.title = moment.organic ? `severity ${moment.severity} of 10` : "few accounts or copies: not a moment";
  badge.setAttribute("aria-label", badge.title);
  return badge;
}

function facts(moment) {
  const list = el("dl", "facts");
  const places = 2 * sum(moment.communities) > sum(moment.platforms) ? moment.communities : moment.platforms;
  list.append(
    fact("seen", `${number.format(moment.observed)} in ${number.format(moment.scale_ms / 1000)} s`),
    fact("expected", precise.format(moment.expected)),
    fact("posts so far", number.format(moment.events)),
    fact("authors", number.format(moment.authors)),
    fact("organic", `${number.format(100 * moment.organic_share)} %`),
    fact("feeling", feeling(moment)),
  );
  if (Object.keys(moment.languages).length) list.append(fact("languages", shares(moment.languages)));
  if (Object.keys(places).length) list.append(fact("where", shares(places)));
  return list;
}

function details(moment) {
  const node = el("details", "", undefined, el("summary", "", moment.samples.length === 1 ? "a post and the numbers" : `${moment.samples.length} posts and the numbers`));
  const posts = el("ul", "samples");
  posts.append(...moment.samples.map(sample));
  node.append(facts(moment), posts);
  return node;
}

function card(moment) {
  const node = el("li", "card");
  node.dataset.status = moment.status;
  node.dataset.organic = String(moment.organic);
  node.dataset.level = moment.severity >= 8 ? "high" : moment.severity >= 5 ? "middle" : "low";
  const title = el("h3", "", termText(moment.lead_term));
  title.dir = "auto";
  const times = el("p", "times", undefined, el("span", "status", moment.status === "closed" ? "over" : "open"), " since ", when(moment.since_ms));
  if (moment.closed_ms !== null) times.append(" until ", when(moment.closed_ms));
  const why = el("p", "why", moment.why);
  why.dir = "auto";
  const terms = el("ul", "chips");
  terms.append(...moment.terms.filter((term) => term !== moment.lead_term).slice(0, 8).map(chip));
  const words = el("p", "words", moment.words.length ? "unusual now: " : "");
  words.append(moment.words.slice(0, 8).map((word) => word.text).join(" · "));
  const head = el("div", "head", undefined, severityBadge(moment), el("div", "", undefined, title, times));
  node.append(head, el("div", "chart"), why, terms);
  if (moment.words.length) node.append(words);
  if (moment.samples.length || moment.events) node.append(details(moment));
  drawChart(node, moment.points, termText(moment.lead_term));
  return node;
}

function drawChart(node, points, name) {
  const chart = node.querySelector(".chart");
  const enough = points && points.some((count) => count > 0);
  chart.replaceChildren(...(enough ? [sparkline(points, `${name}: posts per 10 seconds, now ${points.at(-1)}`)] : []));
}

function takeMoment(moment) {
  const known = moments.get(moment.moment_id);
  if (known && known.sequence > moment.sequence) return;
  moments.set(moment.moment_id, moment);
  const node = card(moment);
  const old = cards.get(moment.moment_id);
  cards.set(moment.moment_id, node);
  if (old) {
    const open = old.querySelector("details")?.open;
    if (open && node.querySelector("details")) node.querySelector("details").open = true;
    old.replaceWith(node);
  } else {
    node.classList.add("new");
    byId("moments").prepend(node);
  }
  while (moments.size > MAX_CARDS) {
    const oldest = moments.keys().next().value;
    moments.delete(oldest);
    cards.get(oldest).remove();
    cards.delete(oldest);
  }
  applyFilter();
}

function applyFilter() {
  let shown = 0;
  for (const [id, node] of cards) {
    const moment = moments.get(id);
    node.hidden = (show === "open" && moment.status === "closed") || (show === "inorganic" && moment.organic);
    shown += !node.hidden;
  }
  byId("empty").hidden = shown > 0;
}

function brandRow(brand) {
  const name = termText(brand.term);
  const last = brand.points.at(-1) ?? 0;
  const value = el("span", "value", number.format(last));
  const row = el("li", "", undefined, el("span", "name", name), el("span", "chart"), value, el("span", "open", brand.open ? `+${number.format(brand.open)}` : ""));
  row.querySelector(".chart").append(sparkline(brand.points, `${name}: ${last} posts in the last closed 10 seconds`, 26));
  return row;
}

function takeCounts(counts) {
  byId("rate").textContent = precise.format(counts.totals.posts_per_s);
  byId("posts").textContent = number.format(counts.totals.posts);
  byId("span").textContent = precise.format((counts.totals.windows * counts.window_ms) / 60_000);
  byId("open").textContent = number.format(counts.totals.open);
  byId("opened").textContent = number.format(counts.totals.opened);
  byId("inorganic").textContent = number.format(counts.totals.inorganic);
  byId("all").replaceChildren(sparkline(counts.all, `all posts per 10 seconds, now ${counts.all.at(-1) ?? 0}`, 60));
  byId("brands").replaceChildren(...counts.brands.map(brandRow));
  byId("top").replaceChildren(
    ...counts.top.map((item) => {
      const node = chip(item.term);
      node.append(el("span", "count", number.format(item.events)));
      return node;
    }),
  );
  for (const [id, points] of Object.entries(counts.charts)) {
    const node = cards.get(id);
    if (node) drawChart(node, points, termText(moments.get(id).lead_term));
  }
  setState(counts.connected ? "live" : "stale", counts.connected ? "live" : "worker has no broker");
}

function setState(state, text) {
  const node = byId("state");
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  node.textContent = text;
}

function takeState(state) {
  moments.clear();
  cards.clear();
  byId("moments").replaceChildren();
  for (const moment of state.moments.reverse()) takeMoment(moment);
  for (const node of cards.values()) node.classList.remove("new");
  takeCounts(state);
  applyFilter();
}

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    show = button.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    applyFilter();
  });
}

const events = new EventSource("/events");
events.addEventListener("state", (event) => takeState(JSON.parse(event.data)));
events.addEventListener("moment", (event) => takeMoment(JSON.parse(event.data)));
events.addEventListener("counts", (event) => takeCounts(JSON.parse(event.data)));
events.addEventListener("error", () => setState("lost", "worker is away, trying again"));
