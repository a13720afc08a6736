// --- numbers and times as the server says them -----------------------------------------------------------------------
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];
function say(value, unit) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e308) return value > 0 ? "∞" : "−∞";
  if (unit === "B") {
    const power = Math.min(Math.floor(Math.log(Math.max(size, 1)) / Math.log(1024)), 4);
    return `${Number((value / 1024 ** power).toPrecision(3))}\u00a0${BINARY[power]}`;
  }
  const text = size >= 1000 && size < 1e7 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  return unit ? `${text}\u00a0${unit}` : text;
}
// For the marks of an axis, which differ by `step`: as many digits as tell them apart.
function sayMark(value, step, unit) {
  if (unit === "B") return say(value, unit);
  const size = Math.abs(value);
  let digits = Math.max(0, Math.min(12, -Math.floor(Math.log10(step) + 1e-9)));
  if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++; // a quarter needs one more
  const text = size >= 1e7 || (size > 0 && size < 1e-4) ? value.toExponential(1) : value.toLocaleString("en", { maximumFractionDigits: digits });
  return unit ? `${text}\u00a0${unit}` : text;
}
const sayChance = (value) => (value === null ? "–" : value === 0 ? "0" : value < 1e-4 ? value.toExponential(0) : String(Number(value.toPrecision(2))));
const sayPercent = (value) => (value === null ? "–" : `${Number((100 * value).toPrecision(3))}\u00a0%`);
const sayLabel = (row) => columns.label[row].replace("_", " ");
const span = points * data.step;
const clock = (seconds) => {
  const text = new Date(seconds * 1000).toISOString();
  const time = text.slice(11, data.step % 60 || data.start % 60 ? 19 : 16);
  return span > 86400 ? `${text.slice(5, 10)} ${time}` : time;
};
const element = (tag, text, className) => Object.assign(document.createElement(tag), { textContent: text, className: className || "" });
