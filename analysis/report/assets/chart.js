/* The frame of a chart: axes that fit the width of the page, clipping, and a tooltip. */

// Ids must be unique on the page, which holds many charts.
let clips = 0;

/* Redraws `host` whenever its width changes. `draw(width)` returns the SVG element. */
function chart(host, draw) {
  const tip = element("div", { class: "tip", hidden: true });
  const place = element("div");
  host.classList.add("chart");
  host.replaceChildren(place, tip);
  let width = 0;
  const redraw = () => {
    tip.hidden = true;
    // Not measured yet. The observer calls as soon as it is, so `draw` never runs before `chart` has returned.
    if (width === 0) return;
    // The focused point is replaced by a new element, which takes over the focus.
    const held = place.contains(document.activeElement) ? document.activeElement.dataset.configuration : null;
    place.replaceChildren(draw(width));
    if (held) place.querySelector(`[data-configuration="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  };
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now !== width) { width = now; redraw(); }
  }).observe(host);
  return { redraw, tip: tipAt(host, tip) };
}

/* Returns a function that shows nodes beside a point, on the side with more room; without nodes it hides the tooltip. */
function tipAt(host, tip) {
  return (x, y, ...nodes) => {
    tip.hidden = nodes.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(...nodes);
    // Measured with its new content, which decides its size.
    const [width, height, room] = [tip.offsetWidth, tip.offsetHeight, host.clientWidth];
    const left = x + 14 + width <= room ? x + 14 : x - 14 - width;
    tip.style.left = `${Math.max(0, Math.min(left, room - width))}px`;
    tip.style.top = `${Math.max(0, y - height - 12)}px`;
  };
}

/* An SVG with axes; `x` and `y` are {label, domain, log}. Returns both scales, the clipped group and the plot area. */
function plotFrame(width, height, x, y, name) {
  const margin = { left: 58, right: 14, top: 12, bottom: 46 };
  const box = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  const across = scaleOf(x.domain, [box.left, box.right], x);
  const up = scaleOf(y.domain, [box.bottom, box.top], y);
  const [columns, levels] = [across.ticks(Math.max(2, Math.floor(width / 110))), up.ticks(6)];
  const [columnText, levelText] = [across.text(columns), up.text(levels)];
  const id = `clip-${(clips += 1)}`;
  const svg = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": name });
  svg.append(
    svgElement("clipPath", { id }, svgElement("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top })),
    ...columns.flatMap((value) => [
      svgElement("path", { class: "grid", d: `M${across(value)} ${box.top}V${box.bottom}` }),
      svgElement("text", { x: across(value), y: box.bottom + 17, "text-anchor": "middle" }, columnText(value)),
    ]),
    ...levels.flatMap((value) => [
      svgElement("path", { class: "grid", d: `M${box.left} ${up(value)}H${box.right}` }),
      svgElement("text", { x: box.left - 8, y: up(value) + 4, "text-anchor": "end" }, levelText(value)),
    ]),
    svgElement("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }),
    svgElement("text", { class: "title", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, x.label),
    svgElement("text", { class: "title", x: -(box.top + box.bottom) / 2, y: 13, "text-anchor": "middle", transform: "rotate(-90)" }, y.label),
  );
  const inner = svgElement("g", { "clip-path": `url(#${id})` });
  svg.append(inner);
  return { svg, inner, box, x: across, y: up };
}

/* The position of the pointer in the units of the SVG. */
function pointerAt(svg, event) {
  const box = svg.getBoundingClientRect();
  const factor = svg.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * factor, (event.clientY - box.top) * factor];
}

function selectBox(label, options, chosen, change) {
  const box = element("select", { onchange: (event) => change(event.target.value) });
  for (const [value, text] of options) box.append(element("option", { value, selected: String(value) === String(chosen) }, text));
  return element("label", {}, label, box);
}

function checkBox(label, checked, change, type = "checkbox", name = null) {
  const box = element("input", { type, name, checked, onchange: (event) => change(event.target.checked) });
  return element("label", {}, box, label);
}
