"use strict";
// The sample browser. Text of models is only ever put in as text; media are paths of this folder alone.
(() => {
  const $ = (id) => document.getElementById(id);
  const browser = $("browser");
  const { folder, root } = browser.dataset;
  const runs = [...$("runs").children].map((item) => item.textContent);
  const SHOWN = 300; // entries drawn at once; more come when the list is scrolled to its end
  let perPage = 100, entries = [], found = [], drawn = 0, current = null;
  const pages = new Map();

  const el = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value; else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  EA.index = (task, size, rows) => {
    perPage = size;
    entries = rows.map(([id, repeat, group, question, own], at) => ({ id, repeat, group, question, own, at, text: `${id} ${question}`.toLowerCase() }));
    fill("group", new Set(entries.map((e) => e.group).filter(Boolean)));
    fill("state", new Set(entries.flatMap((e) => e.own.flatMap((own) => (own ? [own[1], own[2]] : ["not run"]))).filter(Boolean)));
    filter();
    follow();
  };
  EA.page = (task, number, rows) => { pages.get(number).resolve(rows); };

  const fill = (id, values) => { for (const value of [...values].sort()) $(id).append(el("option", { value }, value.length > 60 ? `${value.slice(0, 59)}\u2026` : value)); };

  const load = (number) => {
    if (!pages.has(number)) {
      const waiting = {};
      waiting.promise = new Promise((resolve, reject) => { waiting.resolve = resolve; waiting.reject = reject; });
      pages.set(number, waiting);
      const script = el("script", { src: `${root}data/${folder}/${number}.js` });
      script.addEventListener("error", () => waiting.reject(new Error(`data/${folder}/${number}.js is missing`)));
      document.head.append(script);
    }
    return pages.get(number).promise;
  };

  const score = (entry, run) => (entry.own[run] ? entry.own[run][0] : null);
  const lowest = (entry) => Math.min(...entry.own.map((own) => (own && own[0] !== null ? own[0] : Infinity)));
  const highest = (entry) => Math.max(...entry.own.map((own) => (own && own[0] !== null ? own[0] : -Infinity)));
  const difference = (entry) => {
    const known = entry.own.filter((own) => own && own[0] !== null).map((own) => own[0]);
    return known.length < 2 ? -1 : Math.max(...known) - Math.min(...known);
  };
  const orders = {
    id: (a, b) => a.at - b.at,
    low: (a, b) => lowest(a) - lowest(b) || a.at - b.at,
    high: (a, b) => highest(b) - highest(a) || a.at - b.at,
    difference: (a, b) => difference(b) - difference(a) || a.at - b.at,
  };

  const filter = () => {
    const words = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [group, state] = [$("group").value, $("state").value];
    found = entries.filter((e) =>
      words.every((word) => e.text.includes(word)) &&
      (!group || e.group === group) &&
      (!state || e.own.some((own) => (own ? own[1] === state || own[2] === state : state === "not run"))));
    found.sort(orders[$("order").value]);
    $("count").textContent = `${found.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")}`;
    $("list").replaceChildren();
    drawn = 0;
    draw();
  };

  const shown = (value) => (value === null || value === undefined ? "\u2013" : String(Math.round(value * 1000) / 1000));
  const link = (entry) => `#id=${encodeURIComponent(entry.id)}&repeat=${entry.repeat}`;
  const draw = () => {
    const some = found.slice(drawn, drawn + SHOWN);
    drawn += some.length;
    $("list").append(...some.map((entry) => {
      const made = el("a", { href: link(entry) },
        el("span", { class: "score" }, runs.map((_, run) => shown(score(entry, run))).join(" | ")),
        el("span", { class: "id" }, entry.id + (entry.repeat ? ` (repeat ${entry.repeat})` : "")),
        el("span", { class: "question" }, entry.question));
      if (entry === current) made.setAttribute("aria-current", "true");
      return made;
    }));
  };
  $("list").addEventListener("scroll", () => {
    const list = $("list");
    if (list.scrollTop + list.clientHeight > list.scrollHeight - 400) draw();
  });

  const MEDIA = /^media\/[0-9a-f]{2}\/[0-9a-f]{64}\.[a-z0-9]{1,5}$/;
  const medium = (part) => {
    if (!MEDIA.test(part.path || "")) return el("p", { class: "soft" }, `[${part.type}: no file]`);
    const src = root + part.path;
    const box = el("div");
    if (part.type === "image") box.append(el("img", { src, alt: "image of this sample", loading: "lazy" }));
    if (part.type === "audio") box.append(el("audio", { src, controls: "", preload: "none" }));
    if (part.type === "video") box.append(el("video", { src, controls: "", preload: "metadata" }));
    if (part.transcript) box.append(el("p", { class: "soft" }, `transcript: ${part.transcript}`));
    if (part.lineage) box.append(more("how it was made", part.lineage));
    return box;
  };
  const more = (title, value) => el("details", {}, el("summary", {}, title),
    el("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1)));
  const part = (one) => {
    if (one.type === "text") return el("pre", {}, one.text);
    if (one.type === "reasoning") return more("thinking", one.text);
    if (one.type === "tool_call") return more(`call of ${one.name}`, one.arguments);
    if (one.type === "tool_result") {
      const box = el("div", {}, ...(one.parts || []).map(part));
      if (one.error) box.append(el("p", {}, `error: ${one.error}`));
      return box;
    }
    return medium(one);
  };
  const section = (title, ...children) => el("section", {}, el("h3", {}, title), ...children);

  const ofRun = (name, own) => {
    const box = el("div", { class: "run" }, el("h2", {}, name));
    if (!own) { box.append(el("p", { class: "none" }, "not in this run")); return box; }
    box.append(el("p", {}, el("span", { class: "score big" }, shown(own.score)), ` ${own.score_state || ""} `, el("span", { class: "soft" }, own.judge || "")));
    if (own.reason) box.append(el("p", {}, own.reason));
    if (own.state && own.state !== "ok") box.append(el("p", {}, `response: ${own.state}${own.fault ? `: ${own.fault.message}` : ""}`));
    box.append(section("Answer", ...(own.answers ? own.answers.flatMap((a) => a.parts.map(part)) : (own.parts || []).map(part))));
    if (own.trace || own.tools) box.append(section("Tools", ...(own.trace || []).map(part), ...(own.tools || []).map(part)));
    if (own.components) box.append(more("components of the score", own.components));
    if (own.judge_details) box.append(more("the judge's replies", own.judge_details));
    box.append(more("usage", { usage: own.usage, tool_usage: own.tool_usage, seconds: own.seconds, finish_reason: own.finish_reason, notes: own.notes }));
    return box;
  };

  const show = async (entry) => {
    current = entry;
    for (const one of $("list").querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
    const at = found.indexOf(entry);
    if (at >= drawn && at < drawn + SHOWN) draw(); // one that is far down is shown without its neighbours
    if (at >= 0 && at < drawn) {
      $("list").children[at].setAttribute("aria-current", "true");
      $("list").children[at].scrollIntoView({ block: "nearest" });
    }
    let row;
    try {
      row = (await load(Math.floor(entry.at / perPage) + 1))[entry.at % perPage];
    } catch (fault) {
      $("sample").replaceChildren(el("p", {}, String(fault.message)));
      return;
    }
    if (entry !== current) return;
    const question = (row.messages || []).map((m) => el("div", {}, el("p", { class: "soft" }, m.role), ...m.parts.map(part)));
    const further = (row.further || []).flat().map((m) => el("div", {}, ...m.parts.map(part)));
    const references = (row.references || []).map((r) => el("pre", {}, r.text));
    $("sample").replaceChildren(
      el("h2", {}, entry.id + (entry.repeat ? ` (repeat ${entry.repeat})` : "")),
      el("p", { class: "soft" }, [entry.group, row.masked ? `masked: ${row.masked.join(", ")}` : ""].filter(Boolean).join("; ")),
      section("Prompt", ...question, ...further),
      ...(references.length ? [section("References", ...references)] : []),
      ...(row.metadata ? [more("metadata", row.metadata)] : []),
      el("div", { class: "runs" }, ...runs.map((name, i) => ofRun(name, row.runs[i]))));
  };

  const follow = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("id")) return;
    const entry = entries.find((e) => e.id === asked.get("id") && String(e.repeat) === (asked.get("repeat") || "0"));
    if (entry) show(entry);
    else $("sample").replaceChildren(el("p", {}, `There is no sample ${asked.get("id")} here.`));
  };
  addEventListener("hashchange", follow);
  for (const id of ["query", "group", "state", "order"]) $(id).addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const at = found.indexOf(current);
    if (event.key === "/") { event.preventDefault(); $("query").focus(); }
    if (event.key === "j" && at + 1 < found.length) location.hash = link(found[at + 1]);
    if (event.key === "k" && at > 0) location.hash = link(found[at - 1]);
  });
})();
