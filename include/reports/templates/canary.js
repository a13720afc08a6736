"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const [NAME, LABEL, GROUP, REASON, EFFECT, SHARE, OLD, NEW, CHANCE, WEIGHT, FLAGS, UNIT] = Array(12).keys();
  const CLASS = { PASS: "ok", HOT: "hot", COLD: "cold", NO_DATA: "none", INCONCLUSIVE: "none", ERROR: "error" };
  const cells = [...byId("grid").children];
  const haystack = data.rows.map((row) => `${row[NAME]} ${row[GROUP]} ${row[LABEL]}`.toLowerCase());
  const MISSING = 4095, points = data.points;
  let focused = 0, chosen = -1, sortKey = null, sortUp = true, shown = data.rows.map((_, i) => i);

  // --- series ---------------------------------------------------------------------------------------------------
  const unpacked = (async () => {
    const packed = Uint8Array.from(atob(data.data), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  })();
  unpacked.catch(() => {});

  function side(bytes, metric, which) {
    const half = bytes.length / 2, from = (metric * 2 + which) * points;
    return Array.from({ length: points }, (_, k) => {
      const code = bytes[from + k] + 256 * bytes[half + from + k];
      return code === MISSING ? null : data.low[metric] + code * data.quanta[metric];
    });
  }

  function say(value, unit) {
    if (value === null) return "no data";
    if (unit === "B") {
      const names = ["B", "KiB", "MiB", "GiB", "TiB"];
      const power = Math.min(Math.floor(Math.log(Math.max(Math.abs(value), 1)) / Math.log(1024)), 4);
      return `${Number((value / 1024 ** power).toPrecision(3))} ${names[power]}`;
    }
    const size = Math.abs(value);
    const text = size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
    return unit ? `${text} ${unit}` : text;
  }
  const clock = (k) => new Date((data.start + k * data.step) * 1000).toISOString().slice(11, data.step % 60 ? 19 : 16);

  function ticks(low, high, wanted) {
    const rough = (high - low) / wanted, ten = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * ten).find((s) => s >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
    return found;
  }

  const NS = "http://www.w3.org/2000/svg";
  function draw(parent, tag, attributes, text) {
    const node = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function chart(row, lines) {
    const box = byId("chart"), width = 440, height = 230, left = 62, right = 8, top = 8, bottom = 22;
    box.replaceChildren();
    const seen = lines.flat().filter((value) => value !== null);
    if (!seen.length) { box.textContent = "No points to draw."; return; }
    let low = seen.reduce((a, b) => Math.min(a, b)), high = seen.reduce((a, b) => Math.max(a, b));
    if (low >= 0 && low < 0.6 * high) low = 0;
    if (high === low) { const room = Math.abs(high) * 0.1 || 1; low = high === 0 ? 0 : low - room; high += room; }
    high += (high - low) * 0.05;
    const x = (k) => left + ((width - left - right) * k) / Math.max(points - 1, 1);
    const y = (value) => top + (height - top - bottom) * (1 - (value - low) / (high - low));
    const svg = draw(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Baseline and canary of ${row[NAME]} over time` });
    for (const at of ticks(low, high, 5)) {
      draw(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y(at), y2: y(at) });
      draw(svg, "text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, say(at, row[UNIT]));
    }
    for (const [k, anchor] of [[0, "start"], [Math.floor((points - 1) / 2), "middle"], [points - 1, "end"]])
      draw(svg, "text", { x: x(k), y: height - 5, "text-anchor": anchor }, clock(k));
    lines.forEach((line, which) => {
      let path = "", pen = false;
      line.forEach((value, k) => {
        if (value === null) { pen = false; return; }
        path += `${pen ? "L" : "M"}${x(k).toFixed(1)} ${y(value).toFixed(1)}`;
        // A point alone between two gaps would be a line of no length.
        if (!pen && (k + 1 >= points || line[k + 1] === null)) draw(svg, "circle", { class: which ? "cd" : "bd", cx: x(k), cy: y(value), r: 1.7 });
        pen = true;
      });
      draw(svg, "path", { class: which ? "c" : "b", d: path });
    });
    const cursor = draw(svg, "line", { class: "cursor", y1: top, y2: height - bottom, x1: -9, x2: -9 });
    const readout = byId("readout");
    readout.textContent = "";
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const at = ((event.clientX - frame.left) / frame.width) * width;
      const k = Math.max(0, Math.min(points - 1, Math.round(((at - left) / (width - left - right)) * (points - 1))));
      cursor.setAttribute("x1", x(k)); cursor.setAttribute("x2", x(k));
      readout.textContent = `${clock(k)}  baseline ${say(lines[0][k], row[UNIT])}, canary ${say(lines[1][k], row[UNIT])}`;
    });
    svg.addEventListener("pointerleave", () => { cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9); readout.textContent = ""; });
  }

  // --- one metric -----------------------------------------------------------------------------------------------
  const element = (tag, text, className) => Object.assign(document.createElement(tag), { textContent: text, className: className || "" });

  async function choose(metric, { focus = false } = {}) {
    const row = data.rows[metric];
    if (!row) return;
    if (chosen >= 0) cells[chosen].removeAttribute("aria-current");
    chosen = metric;
    cells[metric].setAttribute("aria-current", "true");
    history.replaceState(null, "", `#m${metric}`);
    byId("detail").classList.add("open");
    byId("detail-name").textContent = row[NAME];
    const tags = byId("detail-tags");
    tags.replaceChildren(element("b", row[LABEL].replace("_", " "), CLASS[row[LABEL]]), element("span", `group ${row[GROUP]}`));
    if (row[FLAGS] & 1) tags.append(element("span", "· critical"));
    if (row[FLAGS] & 2) tags.append(element("span", "· muted: not scored"));
    byId("detail-reason").textContent = row[REASON].charAt(0).toUpperCase() + row[REASON].slice(1) + ".";
    const numbers = [["Baseline", row[OLD]], ["Canary", row[NEW]], ["Difference", row[SHARE]], ["Chance of it among equals", row[CHANCE]], ["Weight", `${row[WEIGHT]} %`]];
    byId("numbers").replaceChildren(...numbers.map(([key, value]) => {
      const pair = element("div", "");
      pair.append(element("dt", key), element("dd", value));
      return pair;
    }));
    if (focus) byId("detail").focus({ preventScroll: true });
    try {
      const bytes = await unpacked;
      if (chosen === metric) chart(row, [side(bytes, metric, 0), side(bytes, metric, 1)]);
      byId("chart-key").hidden = false;
    } catch {
      byId("chart").textContent = "This browser cannot unpack the series.";
    }
  }

  // --- grid -----------------------------------------------------------------------------------------------------
  function point(metric) {
    const row = data.rows[metric];
    const share = row[LABEL] === "HOT" || row[LABEL] === "COLD" ? `, ${row[SHARE]}` : "";
    byId("status").textContent = `${row[NAME]}: ${row[LABEL].replace("_", " ").toLowerCase()}${share}`;
  }
  function rove(metric) {
    cells[focused].tabIndex = -1;
    focused = metric;
    cells[focused].tabIndex = 0;
    cells[focused].focus();
  }
  const columns = () => getComputedStyle(byId("grid")).gridTemplateColumns.split(" ").length;
  byId("grid").addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const visible = shown.slice().sort((a, b) => a - b);
    const at = visible.indexOf(focused) + steps[event.key];
    if (Math.abs(steps[event.key]) === Infinity || (at >= 0 && at < visible.length)) rove(visible[Math.max(0, Math.min(visible.length - 1, at))]);
  });
  const cellOf = (event) => cells.indexOf(event.target.closest("#grid > button"));
  byId("grid").addEventListener("click", (event) => { const metric = cellOf(event); if (metric >= 0) { rove(metric); choose(metric); } });
  for (const kind of ["pointerover", "focusin"])
    byId("grid").addEventListener(kind, (event) => { const metric = cellOf(event); if (metric >= 0) point(metric); });

  // --- table and filters ----------------------------------------------------------------------------------------
  function table() {
    const order = shown.slice();
    if (sortKey !== null) {
      const value = (metric) => data.rows[metric][sortKey];
      order.sort((a, b) => {
        const [p, q] = [value(a), value(b)];
        if (p === null || q === null) return (p === null) - (q === null);
        return (p < q ? -1 : p > q ? 1 : a - b) * (sortUp ? 1 : -1);
      });
    }
    byId("rows").replaceChildren(...order.map((metric) => {
      const row = data.rows[metric], line = document.createElement("tr");
      const name = element("td", ""), opener = Object.assign(element("button", row[NAME]), { type: "button" });
      name.append(opener);
      line.append(name, element("td", row[LABEL].replace("_", " ")), element("td", row[GROUP]), element("td", row[SHARE], "n"), element("td", row[OLD], "n"), element("td", row[NEW], "n"), element("td", String(row[WEIGHT]), "n"));
      line.addEventListener("click", () => choose(metric));
      return line;
    }));
  }
  function filter() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean), only = byId("only").checked;
    shown = [];
    data.rows.forEach((row, metric) => {
      const fits = words.every((word) => haystack[metric].includes(word)) && (!only || row[LABEL] === "HOT" || row[LABEL] === "COLD");
      cells[metric].hidden = !fits;
      if (fits) shown.push(metric);
    });
    byId("empty").hidden = shown.length > 0;
    byId("status").textContent = `${shown.length} of ${data.rows.length} metrics shown`;
    if (shown.length && !shown.includes(focused)) { cells[focused].tabIndex = -1; focused = shown[0]; cells[focused].tabIndex = 0; }
    const asTable = byId("as-table").checked;
    byId("grid").hidden = asTable || !shown.length;
    byId("list").hidden = !asTable || !shown.length;
    if (asTable) table();
  }
  byId("search").addEventListener("input", filter);
  byId("only").addEventListener("change", filter);
  byId("as-table").addEventListener("change", filter);
  byId("reset").addEventListener("click", () => { byId("search").value = ""; byId("only").checked = false; filter(); });
  document.querySelectorAll(".list thead button").forEach((button) => button.addEventListener("click", () => {
    const key = Number(button.dataset.key);
    [sortUp, sortKey] = [sortKey === key ? !sortUp : key < 4, key];
    document.querySelectorAll(".list thead th").forEach((head) => head.removeAttribute("aria-sort"));
    button.closest("th").setAttribute("aria-sort", sortUp ? "ascending" : "descending");
    table();
  }));
  function shut() { byId("detail").classList.remove("open"); cells[focused].focus({ preventScroll: true }); }
  byId("close").addEventListener("click", shut);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && event.target.type !== "search") shut(); });

  // The page opens on what matters: the metric in its address, else the first that deviates.
  const asked = /^#m(\d+)$/.exec(location.hash);
  const first = asked ? Number(asked[1]) : data.rows.findIndex((row) => (row[LABEL] === "HOT" || row[LABEL] === "COLD") && !(row[FLAGS] & 2));
  const isWide = matchMedia("(min-width: 1001px)").matches;
  if (data.rows[first] && (asked || isWide)) choose(first);
  else if (isWide && data.rows.length) choose(0);
})();
