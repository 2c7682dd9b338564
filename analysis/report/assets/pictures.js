/* Crops of the front's networks: side by side in a table, and single ones in tooltips and the panel. */

function picturesTable(host, run) {
  const { crops } = run.data;
  const paired = crops.images.some((image) => image.target);
  const heading = (network) => element("th", { scope: "col", title: network.label }, `network ${network.name}`);
  const rows = crops.images.map((image, place) => element("tr", {},
    element("th", { scope: "row" }, image.name),
    element("td", {}, cropOf(image, image.input, "phone image"), scoreOf(image.score)),
    ...crops.networks.map((network) => element("td", {}, networkCrop(run, image, network, place), scoreOf(network.scores[place]))),
    paired ? element("td", {}, image.target ? cropOf(image, image.target, "target") : "", scoreOf(null)) : null));
  host.append(element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Crops of the networks" },
    element("table", { class: "gallery" },
      element("thead", {}, element("tr", {}, element("td"), element("th", { scope: "col" }, "phone"), ...crops.networks.map(heading),
        paired ? element("th", { scope: "col" }, "target") : null)),
      element("tbody", {}, ...rows))));
  run.listeners.push(() => {
    for (const button of host.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.shown === run.selected.configuration);
  });
}

function networkCrop(run, image, network, place) {
  const open = (event) => run.selectConfiguration(network.configuration, event.currentTarget);
  return element("button", { type: "button", "aria-pressed": "false", "data-shown": network.configuration, onclick: open },
    cropOf(image, network.outputs[place], `network ${network.name}: ${network.label}`));
}

function cropOf(image, source, text) {
  return element("img", { src: source, alt: `${image.name}, ${text}`, width: image.size[0], height: image.size[1] });
}

function scoreOf(value) {
  return element("span", { class: "score" }, value === null ? "\u00a0" : `${fixed(value, 2)} dB`);
}

/* The first `most` crops of a configuration: input, output, target. */
function cropsOf(run, configuration, most) {
  const { crops } = run.data;
  const network = crops?.networks.find((one) => one.configuration === configuration);
  if (!network) return [];
  return crops.images.slice(0, most).map((image, place) => {
    const one = (source, text, said, score) => (source ? element("figure", {}, cropOf(image, source, said),
      element("figcaption", {}, score === null ? text : `${text}, ${fixed(score, 2)} dB`)) : null);
    return element("div", { class: "crops" }, one(image.input, "phone", "phone image", image.score),
      one(network.outputs[place], `seed ${network.seed}`, `network ${network.name}`, network.scores[place]), one(image.target, "target", "target", null));
  });
}
