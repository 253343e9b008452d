// Numbers as people read them: the number, a space that does not break, the unit.

const kNone = "–";

function trimmed(value, digits = 3) {
  if (value === 0) return "0";
  return Number(value.toPrecision(digits)).toLocaleString("en-US", {maximumFractionDigits: 6});
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** 11520 -> "3 h 12 min"; below a minute three digits: "412 ms". */
export function duration(seconds) {
  if (!isNumber(seconds)) return kNone;
  if (seconds < 0) return `-${duration(-seconds)}`;
  if (seconds === 0) return "0 s";
  for (const [unit, size] of [["ns", 1e-9], ["µs", 1e-6], ["ms", 1e-3]]) {
    if (seconds < 999.5 * size) return `${trimmed(seconds / size)}\u00a0${unit}`;
  }
  if (seconds < 59.95) return `${trimmed(seconds)}\u00a0s`;
  const [large, small, step] = seconds < 3599.5 ? ["min", "s", 60]
      : seconds < 48 * 3600 - 30 ? ["h", "min", 3600] : ["d", "h", 86400];
  const part = {s: 1, min: 60, h: 3600}[small];
  const total = Math.round(seconds / part);
  const whole = Math.floor(total * part / step);
  const rest = total - whole * step / part;
  return rest === 0 ? `${whole}\u00a0${large}` : `${whole}\u00a0${large}\u00a0${rest}\u00a0${small}`;
}

/** 1234.5 -> "1,234.50 $"; below a cent three digits. */
export function dollars(value) {
  if (!isNumber(value)) return kNone;
  if (value !== 0 && Math.abs(value) < 0.01) return `${Number(value.toPrecision(3))}\u00a0$`;
  return `${value.toLocaleString("en-US",
      {minimumFractionDigits: 2, maximumFractionDigits: 2})}\u00a0$`;
}

/** 138357544 -> "138.4 M", or to as many digits as given. */
export function count(value, digits = 4) {
  if (!isNumber(value)) return kNone;
  for (const [prefix, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${trimmed(value / size, digits)}\u00a0${prefix}`;
  }
  return trimmed(value, digits);
}

/** 0.571 -> "57%"; below a tenth one decimal. */
export function percent(fraction) {
  if (!isNumber(fraction)) return kNone;
  if (fraction === 0) return "0%";
  if (fraction < 0.0005) return "<0.1%";
  return `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)}%`;
}

/** 1.84 -> "1.8 ×". */
export function times(ratio) {
  if (!isNumber(ratio)) return kNone;
  return `${ratio < 9.95 ? ratio.toFixed(ratio < 0.1 ? 2 : 1) : ratio.toFixed(0)}\u00a0×`;
}

/** "2 x p3.8xlarge" -> "2 × p3.8xlarge". */
export function crosses(text) {
  return String(text ?? "").replace(/(\d) ?x (?=\S)/g, "$1\u00a0×\u00a0");
}
