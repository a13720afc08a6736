// --- what the page carries: columns of facts, and the packed series --------------------------------------------------
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const isWide = matchMedia("(min-width: 1001px)");
const columns = data.columns, total = columns.name.length, points = data.points;
const CRITICAL = 1, MUTED = 2, FAILS = 4, STOPS = 8, MISSING = 4095;
const CLASS = { PASS: "ok", HOT: "hot", COLD: "cold", NO_DATA: "none", INCONCLUSIVE: "unsure", ERROR: "error" };
const isDeviating = (row) => columns.label[row] === "HOT" || columns.label[row] === "COLD";
const has = (row, flag) => (columns.flags[row] & flag) !== 0;
// The reasons of what is not alike stand in the list of findings, in the same order.
const listed = [...document.querySelectorAll("#findings tbody tr")].values();
const reasons = Array.from({ length: total }, (_, row) => columns.reason[row] ?? listed.next().value.lastElementChild.textContent);
const titleOf = (row) => (columns.tags[row] ? `${columns.name[row]} {${columns.tags[row]}}` : columns.name[row]);

const unpacked = (async () => {
  const text = atob(data.data), packed = new Uint8Array(text.length);
  data.data = "";
  for (let k = 0; k < text.length; k++) packed[k] = text.charCodeAt(k);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
})();
unpacked.catch(() => {}); // told where it is needed

// One side (0 baseline, 1 canary) of a metric; null for a gap.
function side(bytes, row, which) {
  const half = bytes.length / 2, from = (row * 2 + which) * points;
  return Array.from({ length: points }, (_, k) => {
    const code = bytes[from + k] + 256 * bytes[half + from + k];
    return code === MISSING ? null : data.low[row] + code * data.quanta[row];
  });
}
