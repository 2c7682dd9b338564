/* Elements, and numbers formatted like those in the tables. Strings are always inserted as text: nothing parses HTML. */

const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return populate(document.createElement(tag), attributes, children);
}

function svgElement(tag, attributes = {}, ...children) {
  return populate(document.createElementNS(SVG, tag), attributes, children);
}

function populate(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    // Null and false mean no attribute, so that callers can pass conditions.
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function fixed(value, decimals) {
  const [whole, part] = Math.abs(value).toFixed(decimals).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  // No sign on what rounds to 0; U+2212 is as wide as a digit.
  const sign = value < 0 && Number(value.toFixed(decimals)) !== 0 ? "\u2212" : "";
  return sign + grouped + (part ? "." + part : "");
}

/* A value of a metric in the unit of its label. */
function metricText(metric, value) {
  return value === null || value === undefined ? "" : fixed(value / metric.unit, metric.decimals);
}

/* "21.07 ± 0.39", or for a cost "0.57 (0.55 to 0.59)". */
function estimateText(metric, mean, low, high) {
  if (mean === null) return "not finite";
  const text = metricText(metric, mean);
  if (low === null || high === null) return text;
  if (metric.cost) return `${text} (${metricText(metric, low)} to ${metricText(metric, high)})`;
  return `${text} \u00b1 ${metricText(metric, high - mean)}`;
}

/* A parameter or signal: integers in full, other numbers with three significant digits. */
function plain(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "\u2212");
  const size = Math.abs(value);
  const text = size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
  // toExponential writes 1.00e+5; shown is 1e5.
  return text.replace("-", "\u2212").replace(/\.?0+e/, "e").replace("e+", "e");
}

function percent(share) {
  return `${fixed(100 * share, 0)} %`;
}

function seconds(value) {
  if (value === null) return "";
  return value < 100 ? fixed(value, 1) : fixed(value, 0);
}
