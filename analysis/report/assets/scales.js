/* Scales from values to pixels, and round tick values. */

function scaleOf(domain, range, { log = false, whole = false }) {
  const to = log ? Math.log10 : (value) => value;
  const [low, high] = domain.map(to);
  const factor = (range[1] - range[0]) / (high - low);
  const scale = (value) => range[0] + (to(value) - low) * factor;
  scale.domain = domain;
  scale.range = range;
  scale.ticks = (count) => (log ? decades(domain, count) : round(domain, count).filter((one) => !whole || Number.isInteger(one)));
  scale.text = log ? () => plain : tickText; // precise enough that no two ticks read alike
  return scale;
}

function round([low, high], count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  // The factors near 1 here and below allow for rounding: a tick on the edge of the axis must not get lost.
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= raw * 0.999) * power;
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) ticks.push(index * step);
  return ticks;
}

/* Powers of ten, with their multiples by 2 and 5 where there is room. */
function decades([low, high], count) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const part of [1, 2, 5]) found.push(part * 10 ** power);
  }
  const inside = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  // A few more ticks than asked for read better than powers of ten alone.
  if (inside.length <= count + 2) return inside;
  const whole = inside.filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  return whole.length >= 2 ? whole : inside;
}

function tickText(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
  const decimals = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  // A step of 2.5 needs one decimal more than its power of ten.
  const finer = Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6 ? 1 : 0;
  return (value) => fixed(value, decimals + finer);
}

/* The range of the values plus a margin; never empty, even for a single value. */
function extent(values, margin, log) {
  const known = values.filter((value) => value !== null && Number.isFinite(value) && (!log || value > 0));
  if (!known.length) return log ? [1, 10] : [0, 1];
  let [low, high] = [Infinity, -Infinity];
  for (const value of known) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (log) {
    const room = Math.max(Math.log10(high / low), 0.1) * margin;
    return [low / 10 ** room, high * 10 ** room];
  }
  const span = Math.max(high - low, Math.abs(high) * 1e-3, 1e-9);
  return [low - span * margin, high + span * margin];
}

function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

/* Costs that span more than a decade are drawn on a logarithmic axis. */
function spansDecades(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 && Math.min(...known) > 0 && Math.max(...known) > 10 * Math.min(...known);
}
