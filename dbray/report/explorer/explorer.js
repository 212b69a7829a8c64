// @ts-check
/**
 * The explorer of decision regions: label maps of all models on one slice, and what is where one
 * points. Everything comes from the JSON beside it; nothing is asked of a network.
 */

const root = /** @type {HTMLElement} */ (document.getElementById("explorer"));
const part = (/** @type {string} */ name) =>
  /** @type {HTMLElement} */ (root.querySelector(`[data-part="${name}"]`));
const choice = (/** @type {string} */ name) => /** @type {HTMLSelectElement} */ (part(name));
/** @type {Data} */
const data = JSON.parse(part("data").textContent ?? "");
const [NONE, LISTED] = [-1, 24]; // the model of no map; test images of a comparison
const inks = inksOf(data.colours);

const state = {
  order: data.slices.map((_, at) => at), // slices of the chosen kind, in the chosen order
  slice: 0,
  at: /** @type {(number|null)[]} */ (data.axes.map(() => null)), // null: all along this axis
  hidden: new Set(), // names of rows and seeds
  pair: /** @type {number[]} */ ([]),
  point: [0, 0], // indices along e1 and e2
};
/** @type {Unpacked} of the slice that is shown */
let now = { pixels: new Uint8Array(), maps: [], confidence: [] };
let rows = /** @type {{group: number, models: number[]}[]} */ ([]); // that are shown
/** @type {{model: number, label: HTMLElement, sure: HTMLElement|null}[]} */
let captions = []; // where a model's class at the point, and its confidence, are said
/** @type {Map<number|string, Promise<any>>} */
const unpacked = new Map();
let crosses = /** @type {HTMLElement[]} */ ([]);

const slice = () => data.slices[state.slice];
const named = (/** @type {number} */ model) =>
  [rowOf(data.models[model].group), data.models[model].seed].filter(Boolean).join(", ");
const titled = (/** @type {number} */ model) => named(model) + data.models[model].accuracy;

/** Name of a group's row, with what tells it from others where all along an axis are shown.
 * @param {number} group */
function rowOf(group) {
  const { row, at } = data.groups[group];
  const along = at.map((place, axis) =>
    place !== null && state.at[axis] === null && inWords(data.axes[axis], place));
  return [data.rows[row], ...along].filter(Boolean).join(", ");
}

/** Models that are shown, by row. */
function shown() {
  const found = data.groups.map((of, group) => {
    const here = isAt(of, state.at) && !state.hidden.has(data.rows[of.row]);
    return { group, models: [...data.models.keys()].filter((model) => here
      && data.models[model].group === group && !state.hidden.has(data.models[model].seed)) };
  });
  if (choice("rows").value === "agreement")
    found.sort((a, b) => (within(b) ?? -1) - (within(a) ?? -1));
  return found.filter(({ models }) => models.length);
}

/** Share of the pairs of some models that differ, a point. @param {number[]} models */
const differences = (models) => differing(models.map((m) => now.maps[m]), slice().resolution ** 2);

/** Mean agreement of the pairs of some models on this slice. @param {number[]} models */
const agreement = (models) => (models.length < 2 ? null : 1 - mean(differences(models)));

/** The same of a row; null where its pairs differ in more than the row's name says.
 * @param {{group: number, models: number[]}} row */
const within = ({ group, models }) => (data.groups[group].mixed ? null : agreement(models));

/** @param {HTMLElement} canvas @param {ImageData} image */
function put(canvas, image) {
  if (!(canvas instanceof HTMLCanvasElement)) return;
  [canvas.width, canvas.height] = [image.width, image.height];
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
}

/** How a point of a model's map is drawn. @param {number} model */
function inkOf(model) {
  const [map, shades] = [now.maps[model], now.confidence[model]];
  if (choice("overlay").value !== "confidence" || !shades)
    return (/** @type {number} */ k) => inks[map[k]];
  const least = 1 / data.classes.length; // of an arg-max
  return (/** @type {number} */ k) =>
    faded(inks[map[k]], 0.2 + 0.8 * Math.max(0, (shades[k] / 255 - least) / (1 - least)));
}

/** An element. @param {string} tag @param {string} kind class @param {(Node|string)[]} inside */
function make(tag, kind, ...inside) {
  const element = document.createElement(tag);
  element.className = kind;
  element.append(...inside);
  return element;
}

/** A map with its caption. @param {number} model, or NONE @param {HTMLElement} caption
 * @param {(k: number) => number} ink */
function tile(model, caption, ink) {
  const canvas = document.createElement("canvas");
  const map = make("div", "map", canvas, make("span", "over"), make("i", "cross"));
  crosses.push(/** @type {HTMLElement} */ (map.lastChild));
  if (model !== NONE) map.dataset.model = String(model);
  put(canvas, painted(slice().resolution, ink));
  const label = caption.querySelector("b");
  if (label) captions.push({ model, label, sure: caption.querySelector("small") });
  return make("div", "tile", map, caption);
}

/** A model's map, whose caption chooses it. @param {number} model @param {string} [text] */
function modelTile(model, text = data.models[model].seed) {
  const button = make("button", "pick", text, make("small", ""), make("b", ""));
  button.title = titled(model);
  button.setAttribute("aria-pressed", String(state.pair.includes(model)));
  button.setAttribute("aria-label", `compare ${named(model)}`);
  button.dataset.pick = String(model);
  button.onclick = () => pick(model);
  return tile(model, button, inkOf(model));
}

/** Black where all pairs differ. @param {number[]} models @param {string} text */
function differenceTile(models, text) {
  const shares = differences(models);
  return tile(NONE, make("span", "pick", text), (k) => faded(0xff301a7a, shares[k]));
}

/** Draw what is shown of this slice. */
function draw() {
  [captions, crosses, rows] = [[], [], shown()];
  const withDifference = choice("overlay").value === "disagreement";
  const drawn = rows.map(({ group, models }) => {
    const here = within({ group, models });
    const about = [data.groups[group].agreement, here === null ? "" : `here ${percent(here)}`];
    const maps = models.map((model) => modelTile(model));
    if (withDifference && here !== null) maps.push(differenceTile(models, "pairs that differ"));
    return make("div", "row", make("div", "name", make("b", "", rowOf(group)),
      ...about.filter(Boolean).map((text) => make("small", "", text))),
    make("div", "tiles", ...maps));
  });
  root.classList.toggle("few", rows.flatMap(({ models }) => models).length < 8);
  part("maps").replaceChildren(...(drawn.length ? drawn : ["No model is chosen."]));
  const present = new Set(rows.flatMap(({ models }) => models.flatMap((m) => [...now.maps[m]])));
  part("legend").replaceChildren(...[...present].sort((a, b) => a - b).map((label) => chip(label)));
  drawPair();
  drawBorders();
  point(state.point[0], state.point[1]);
}

/** Lay the borders of one model's regions on all maps. */
function drawBorders() {
  const reference = state.pair[0] ?? rows[0]?.models[0];
  part("reference").textContent = "";
  root.style.removeProperty("--borders");
  if (choice("overlay").value !== "borders" || reference === undefined) return;
  part("reference").textContent = `Borders: those of ${named(reference)}.`;
  const side = slice().resolution;
  const line = (/** @type {string} */ colour, /** @type {number} */ width) =>
    `<path d="${bordersOf(now.maps[reference], side)}" fill="none" stroke="${colour}"
      stroke-width="${width}" stroke-linecap="square" vector-effect="non-scaling-stroke"/>`;
  root.style.setProperty("--borders", svg(side, side, line("#fff", 3) + line("#000", 1.3)));
}

/** Two models: their maps, their difference, their numbers, the test images on which they part. */
async function drawPair() {
  if ((part("pair").hidden = state.pair.length < 2)) return;
  const [a, b] = state.pair;
  const here = agreement([a, b]) ?? 1;
  const all = data.pairs[`${Math.min(a, b)} ${Math.max(a, b)}`];
  part("pair-title").textContent = `${named(a)} and ${named(b)}`;
  part("pair-maps").replaceChildren(modelTile(a, named(a)), modelTile(b, named(b)),
    differenceTile([a, b], "where they differ"));
  const said = `They agree on ${percent(here)} of the points of this slice`
    + (all === undefined ? "." : `, and on ${percent(all)} of those of all scored test slices.`)
    + [a, b].map((m) => data.models[m].accuracy && ` ${titled(m)}.`).join("");
  part("pair-numbers").textContent = said;
  part("pair-tests").replaceChildren();
  if (!data.tests) return;
  const { images } = data.tests;
  const columns = data.models.length + 1; // of an image: its class, then every model's answer
  unpacked.set("tests", unpacked.get("tests") ?? inflate(data.tests.packed));
  const answers = labelsIn(await unpacked.get("tests"), 0, images * columns, data.wide);
  if (String(state.pair) !== String([a, b])) return; // others were chosen meanwhile
  const parted = [...Array(images).keys()].filter((image) =>
    answers[image * columns + 1 + a] !== answers[image * columns + 1 + b]);
  part("pair-numbers").textContent = `${said} They part on ${parted.length} of ${images} test `
    + "images" + (parted.length > LISTED ? `; the first ${LISTED}:` : parted.length ? ":" : ".");
  part("pair-tests").replaceChildren(...parted.slice(0, LISTED).map((image) => {
    const [right, one, other] = [0, 1 + a, 1 + b].map((at) => answers[image * columns + at]);
    return make("li", "", `image ${image}, ${data.classes[right]}: `, chip(one), chip(other));
  }));
}

/** A class in its colour. @param {number} label @param {string} more */
function chip(label, more = "") {
  const dot = make("i", "");
  dot.style.background = data.colours[label];
  return make("span", "chip", dot, data.classes[label] + more);
}

/** What some models name at the point. @param {string} who @param {number[]} models */
function votes(who, models) {
  const found = votesAt(now.maps, models, state.point[0] * slice().resolution + state.point[1]);
  const chips = found.map(([label, count]) => chip(label, models.length > 1 ? ` ×${count}` : ""));
  return make("li", "", make("span", "who", who), make("span", "", ...chips));
}

/** Show the image and the classes at a point. @param {number} i along e1 @param {number} j */
function point(i, j) {
  const { resolution } = slice();
  const last = resolution - 1;
  state.point = [Math.min(Math.max(i, 0), last), Math.min(Math.max(j, 0), last)];
  const [x, y] = state.point;
  const place = [x, last - y].map((at) => `${(100 * (at + 0.5)) / resolution}%`);
  for (const cross of crosses) cross.style.translate = place.join(" ");
  const w = weightsAt(slice(), x, y);
  const { image, clipped } = weightedImage(now.pixels, w, data.image);
  put(part("image"), image);
  w.forEach((weight, at) => {
    part(`weight-${at}`).textContent = weight.toFixed(2).replace("-", "−");
  });
  part("clipped").textContent = clipped ? `${percent(clipped, 0)} of its values leave the range of `
    + "an image and are clipped here; the models saw them as they are." : "";
  const k = x * resolution + y;
  for (const { model, label, sure } of captions) {
    const [found, shade] = [now.maps[model][k], now.confidence[model]?.[k]];
    if (sure && shade !== undefined) sure.textContent = percent(shade / 255, 0);
    if (label.dataset.label === String(found)) continue;
    label.dataset.label = String(found);
    label.textContent = data.classes[found];
    label.style.borderColor = data.colours[found];
  }
  const everyone = rows.flatMap(({ models }) => models);
  const apart = rows.length > 1 ? rows : []; // a single row is all that there is
  part("votes").replaceChildren(votes(`all ${everyone.length}`, everyone),
    ...apart.map(({ group, models }) => votes(rowOf(group), models)));
}

/** Show the slice that is chosen. */
async function show() {
  const wanted = state.slice;
  unpacked.set(wanted, unpacked.get(wanted) ?? unpack(data, slice()));
  const found = await unpacked.get(wanted);
  if (wanted !== state.slice) return; // another was chosen meanwhile
  now = found;
  choice("slice").value = String(wanted);
  [[1, 0, 0], [0, 1, 0], [0, 0, 1]].forEach((w, at) =>
    put(part(`anchor-${at}`), weightedImage(now.pixels, w, data.image).image));
  const [width, height] = [0, 1].map((axis) => slice().high[axis] - slice().low[axis]);
  root.style.setProperty("--aspect", String(width / height));
  root.style.setProperty("--marks", marksOf(slice(), data.colours));
  state.point = disputed(shown().map(({ models }) => models.map((m) => now.maps[m])), slice());
  draw();
  root.dataset.shown = String(wanted);
}

/** Slices of the chosen kind in the chosen order; the first is shown. */
function arrange() {
  const [kind, by] = [choice("kind").value, choice("sort").value];
  const key = (/** @type {Slice} */ { agreement, regions }) =>
    ({ least: agreement ?? 2, most: -(agreement ?? -1), broken: -regions })[by] ?? 0;
  state.order = data.slices.map((_, at) => at).filter((at) =>
    !kind || data.slices[at].kind === kind);
  state.order.sort((a, b) => key(data.slices[a]) - key(data.slices[b]));
  choice("slice").replaceChildren(...state.order.map((at) => {
    const { name, agreement, regions } = data.slices[at];
    const said = by === "broken" ? `: ${regions.toFixed(1)} regions`
      : agreement === null ? "" : `: ${percent(agreement, 0)}`;
    return new Option(name + said, String(at));
  }));
  [state.slice] = state.order;
  show();
}

/** The next slice, or the one before. @param {number} by 1 or -1 */
function walk(by) {
  const { order, slice } = state;
  state.slice = order[(order.indexOf(slice) + by + order.length) % order.length];
  show();
}

/** Choose a model for comparison, or no longer. @param {number} model */
function pick(model) {
  const others = state.pair.filter((other) => other !== model);
  state.pair = others.length < state.pair.length ? others : [...others.slice(-1), model];
  draw();
  /** @type {HTMLElement} */ (part("maps").querySelector(`[data-pick="${model}"]`))?.focus();
}

/** Tell the charts where on an axis the maps are. @param {number} axis */
function tell(axis) {
  const { name, values } = data.axes[axis];
  const detail = { name, value: values[state.at[axis] ?? NONE] ?? null };
  document.dispatchEvent(new CustomEvent("explorer-moved", { detail }));
}

/** Move along an axis, as along the width, or show all of it. Models that are compared move along.
 * @param {number} axis @param {number|null} place */
function move(axis, place) {
  state.at[axis] = place;
  const input = choice(`axis-${axis}`);
  if (place !== null) input.value = String(place);
  const said = String(place === null ? "all" : data.axes[axis].values[place]);
  input.ariaValueText = part(`value-${axis}`).textContent = said;
  /** @type {HTMLInputElement} */ (part(`all-${axis}`)).checked = place === null;
  tell(axis);
  if (!now.maps.length) return;
  state.pair = alike(data, state.pair, shown().flatMap(({ models }) => models));
  draw();
}

/** @param {string} text @param {boolean} checked @param {(on: boolean) => void} change */
function checkbox(text, checked, change) {
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", checked, onchange: () => change(box.checked) });
  return { box, label: make("label", "", box, text) };
}

/** A slider, a button that plays it, and a box that shows all of it. @param {number} axis */
function slider(axis) {
  const { title, values, all } = data.axes[axis];
  const [input, last] = [document.createElement("input"), values.length - 1];
  Object.assign(input, { type: "range", min: "0", max: last, value: last });
  const at = () => Number(input.value);
  input.oninput = () => move(axis, at());
  const [output, label] = [make("output", ""), make("label", "", `${title} `, input)];
  const play = /** @type {HTMLButtonElement} */ (make("button", "", "play"));
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "play"; };
  play.onclick = () => {
    if (timer) return stop();
    if (at() === last) move(axis, 0);
    play.textContent = "stop";
    timer = window.setInterval(() => {
      if (at() < last) move(axis, at() + 1);
      if (at() === last) stop();
    }, 700);
  };
  const whole = checkbox("all", all, (on) => move(axis, on ? null : at()));
  Object.entries({ axis: input, value: output, all: whole.box }).forEach(([name, element]) => {
    element.dataset.part = `${name}-${axis}`;
  });
  part("axes").append(make("span", "axis", label, output, play, whole.label));
  move(axis, all ? null : last);
}

/** Boxes that hide and show. @param {string} where @param {string[]} names */
function boxes(where, names) {
  if (names.length < 2 || names.length > 30) return;
  part(where).append(...names.map((name) => checkbox(name, true, (on) => {
    state.hidden[on ? "delete" : "add"](name); draw();
  }).label));
}

/** Point at where a pointer is. @param {PointerEvent} event */
function pointed(event) {
  const map = event.target instanceof Element ? event.target.closest(".map") : null;
  if (!map) return;
  const [box, side] = [map.getBoundingClientRect(), slice().resolution];
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  point(Math.floor(x * side), side - 1 - Math.floor(y * side));
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const far = event.shiftKey ? 5 : 1;
  const [x, y] = state.point;
  const keys = /** @type {Record<string, () => void>} */ ({
    ArrowLeft: () => point(x - far, y), ArrowRight: () => point(x + far, y), n: () => walk(1),
    ArrowUp: () => point(x, y + far), ArrowDown: () => point(x, y - far), p: () => walk(-1),
  });
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

root.addEventListener("pointermove", pointed);
root.addEventListener("pointerdown", pointed);
root.addEventListener("click", (event) => {
  const map = event.target instanceof Element ? event.target.closest(".map") : null;
  const byMouse = event instanceof PointerEvent && event.pointerType === "mouse";
  if (byMouse && map instanceof HTMLElement && map.dataset.model) pick(Number(map.dataset.model));
});
part("maps").addEventListener("keydown", pressed);
part("previous").onclick = () => walk(-1);
part("next").onclick = () => walk(1);
choice("slice").onchange = () => { state.slice = Number(choice("slice").value); show(); };
const kinds = new Set(data.slices.map(({ kind }) => kind));
choice("kind").append(...[...kinds].map((kind) => new Option(kind)));
for (const name of ["kind", "sort"]) choice(name).onchange = arrange;
for (const name of ["overlay", "rows"]) choice(name).onchange = draw;
boxes("groups", data.rows);
boxes("seeds", [...new Set(data.models.map(({ seed }) => seed))]);
data.axes.forEach((_, axis) => slider(axis));
document.addEventListener("chart-drawn", () => data.axes.forEach((_, axis) => tell(axis)));
document.addEventListener("chart-clicked", (event) => {
  const { detail } = /** @type {CustomEvent<Record<string, any>>} */ (event);
  data.axes.forEach(({ name, values }, axis) => {
    const there = values.includes(detail[name]) && state.at[axis] !== null;
    if (there) move(axis, values.indexOf(detail[name]));
  });
  const [one, other] = ["row", "column"].map((side) => rows.find(({ group }) =>
    rowOf(group) === detail[side])?.models ?? []);
  const pair = [one[0], other[0] === one[0] ? other[1] : other[0]];
  if (pair.every((model) => model !== undefined)) { state.pair = pair; draw(); }
});
arrange();
