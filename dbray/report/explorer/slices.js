// @ts-check
/**
 * What the explorer computes, without a page: slices unpacked, images at points, what differs.
 *
 * A label map has its first axis along e1 (to the right) and its second along e2 (upward): point
 * (i, j) of R x R has the place i * R + j. A point of a slice is the image w1 x1 + w2 x2 + w3 x3
 * with weights that sum to 1; as normalisation is affine, they apply to the pixels likewise.
 *
 * @typedef {{row: number, at: (number|null)[], agreement: string, mixed: boolean}} Group
 *   at: its place on each axis
 * @typedef {{name: string, title: string, values: (number|string)[], all: boolean}} Axis
 * @typedef {{group: number, seed: string, accuracy: string}} Model
 * @typedef {{name: string, kind: string, coordinates: number[][], low: number[], high: number[],
 *   resolution: number, agreement: number|null, regions: number, confidence: boolean,
 *   anchors: number[], packed: string}} Slice anchors: their classes, -1 for one that shows nothing
 * @typedef {{classes: string[], colours: string[], wide: boolean, image: number[], rows: string[],
 *   axes: Axis[], groups: Group[], models: Model[], slices: Slice[],
 *   pairs: Record<string, number>, tests: {images: number, packed: string}|null}} Data wide: two
 *   bytes a label; image: channels, height and width
 * @typedef {Uint8Array|Uint16Array} Labels
 * @typedef {{pixels: Uint8Array, maps: Labels[], confidence: Uint8Array[]}} Unpacked
 */

/** Colours as an ImageData has them, ABGR. @param {string[]} colours #rrggbb */
const inksOf = (colours) => Uint32Array.from(colours, (colour) => {
  const value = parseInt(colour.slice(1), 16);
  return 0xff000000 | ((value & 255) << 16) | (value & 0xff00) | (value >> 16);
});

/** A place on an axis in words. @param {Axis} axis @param {number} at */
const inWords = ({ title, values }, at) =>
  typeof values[at] === "number" ? `${title} ${values[at]}` : String(values[at]);

/** Whether a group is where one is on every axis; null: all along it. @param {Group} group
 * @param {(number|null)[]} here */
const isAt = ({ at }, here) => at.every((place, axis) =>
  place === null || here[axis] === null || here[axis] === place);

/** Models that stand in the rows, and for the seeds, of others; these themselves if they are there.
 * @param {Data} data @param {number[]} models @param {number[]} there of which they are found */
function alike({ groups, models: all }, models, there) {
  const same = (/** @type {Model} */ a, /** @type {Model} */ b) =>
    a.seed === b.seed && groups[a.group].row === groups[b.group].row;
  const found = models.map((model) => there.includes(model) ? model
    : there.find((other) => same(all[model], all[other])) ?? -1);
  return [...new Set(found)].filter((model) => model >= 0);
}

/** @param {string} text deflated bytes in base64 */
async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** @param {ArrayBuffer} buffer @param {number} from byte @param {number} count of labels
 * @param {boolean} wide */
function labelsIn(buffer, from, count, wide) {
  return wide
    ? new Uint16Array(buffer.slice(from, from + 2 * count))
    : new Uint8Array(buffer, from, count);
}

/** Anchors, then every model's map, then every model's confidences. @param {Data} data
 * @param {Slice} slice @returns {Promise<Unpacked>} */
async function unpack({ models, image, wide }, slice) {
  const buffer = await inflate(slice.packed);
  const [size, points] = [3 * image[0] * image[1] * image[2], slice.resolution ** 2];
  const bytes = points * (wide ? 2 : 1);
  const shades = size + models.length * bytes;
  return {
    pixels: new Uint8Array(buffer, 0, size),
    maps: models.map((_, m) => labelsIn(buffer, size + m * bytes, points, wide)),
    confidence: slice.confidence
      ? models.map((_, m) => new Uint8Array(buffer, shades + m * points, points))
      : [],
  };
}

/** Share of the pairs of some maps that differ, a point. @param {Labels[]} maps
 * @param {number} points */
function differing(maps, points) {
  const shares = new Float32Array(points);
  let pairs = 0;
  for (let a = 0; a < maps.length; a++)
    for (let b = a + 1; b < maps.length; b++, pairs++)
      for (let k = 0; k < points; k++) if (maps[a][k] !== maps[b][k]) shares[k]++;
  return shares.map((count) => count / Math.max(pairs, 1));
}

const percent = (/** @type {number} */ share, digits = 1) => `${(100 * share).toFixed(digits)}%`;

/** @param {Float32Array} shares */
const mean = (shares) => shares.reduce((sum, share) => sum + share, 0) / shares.length;

/** Borders between the regions of a map as a path, y downward. @param {Labels} map
 * @param {number} side */
function bordersOf(map, side) {
  let path = "";
  for (let x = 0; x < side; x++)
    for (let y = 0; y < side; y++) {
      const [k, top] = [x * side + y, side - 1 - y];
      if (x + 1 < side && map[k] !== map[k + side]) path += `M${x + 1} ${top}v1`;
      if (y + 1 < side && map[k] !== map[k + 1]) path += `M${x} ${top}h1`;
    }
  return path;
}

/** Weights of the anchors at a point of the plane. @param {number[]} point
 * @param {number[][]} anchors their coordinates */
function weights([alpha, beta], [[a1, b1], [a2, b2], [a3, b3]]) {
  const area = (a2 - a1) * (b3 - b1) - (a3 - a1) * (b2 - b1);
  const w2 = ((alpha - a1) * (b3 - b1) - (a3 - a1) * (beta - b1)) / area;
  const w3 = ((a2 - a1) * (beta - b1) - (alpha - a1) * (b2 - b1)) / area;
  return [1 - w2 - w3, w2, w3];
}

/** Weights of the anchors at a point of a grid. @param {Slice} slice @param {number} i along e1
 * @param {number} j along e2 */
function weightsAt({ resolution, low, high, coordinates }, i, j) {
  const place = [i, j].map((at, axis) =>
    low[axis] + (at * (high[axis] - low[axis])) / (resolution - 1));
  return weights(place, coordinates);
}

/** Of the points between the anchors, that on which the maps of a row differ most.
 * @param {Labels[][]} rows maps of each @param {Slice} slice */
function disputed(rows, slice) {
  const side = slice.resolution;
  const sum = new Float32Array(side * side);
  for (const maps of rows) differing(maps, side * side).forEach((share, k) => (sum[k] += share));
  let best = Math.floor(side / 2) * (side + 1);
  sum.forEach((share, k) => {
    const inside = () => weightsAt(slice, Math.floor(k / side), k % side).every((w) => w > 0);
    if (share > sum[best] && inside()) best = k;
  });
  return [Math.floor(best / side), best % side];
}

/** The weighted sum of three images, and the share of its values that are clipped.
 * @param {Uint8Array} pixels @param {number[]} w weights @param {number[]} size of an image */
function weightedImage(pixels, [w1, w2, w3], [channels, height, width]) {
  const [area, size] = [height * width, channels * height * width];
  const rgba = new Uint8ClampedArray(4 * area).fill(255);
  let outside = 0;
  for (let k = 0; k < size; k++) {
    const value = w1 * pixels[k] + w2 * pixels[size + k] + w3 * pixels[2 * size + k];
    if (value < -0.5 || value > 255.5) outside++;
    const at = 4 * (k % area);
    if (channels === 1) rgba[at] = rgba[at + 1] = rgba[at + 2] = value;
    else rgba[at + Math.floor(k / area)] = value;
  }
  return { image: new ImageData(rgba, width, height), clipped: outside / size };
}

/** A colour, faded towards white. @param {number} ink ABGR @param {number} share that stays */
function faded(ink, share) {
  const fade = (/** @type {number} */ shift) =>
    Math.round(255 + share * (((ink >>> shift) & 255) - 255)) << shift;
  return (0xff000000 | fade(16) | fade(8) | fade(0)) >>> 0;
}

/** A map's pixels, e1 to the right and e2 upward. @param {number} side
 * @param {(k: number) => number} ink colour of a point, ABGR */
function painted(side, ink) {
  const pixels = new Uint32Array(side * side);
  for (let x = 0; x < side; x++)
    for (let y = 0; y < side; y++) pixels[y * side + x] = ink(x * side + side - 1 - y);
  return new ImageData(new Uint8ClampedArray(pixels.buffer), side, side);
}

/** Classes that some models name at a place and how many, the majority first.
 * @param {Labels[]} maps @param {number[]} models @param {number} k place */
function votesAt(maps, models, k) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const model of models) counts.set(maps[model][k], (counts.get(maps[model][k]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** A drawing as a CSS image. @param {number} width @param {number} height @param {string} inside */
const svg = (width, height, inside) =>
  `url("data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none"
      viewBox="0 0 ${width} ${height}">${inside}</svg>`)}")`;

/** The anchors as marks on a map. @param {Slice} slice @param {string[]} colours of classes */
function marksOf({ coordinates, low, high, anchors }, colours) {
  const [width, height] = [high[0] - low[0], high[1] - low[1]];
  const marks = coordinates.map(([alpha, beta], at) => {
    const [x, y] = [(100 * (alpha - low[0])) / height, (100 * (high[1] - beta)) / height];
    return `<circle cx="${x}" cy="${y}" r="4" stroke="#fff" stroke-width="3"
      fill="${colours[anchors[at]] ?? "#5f6773"}"/>
      <circle cx="${x}" cy="${y}" r="5.7" fill="none" stroke="#111"/>`;
  });
  return svg((100 * width) / height, 100, marks.join(""));
}
