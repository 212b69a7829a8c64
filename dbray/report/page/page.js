// Runs inside the bundle, where vegaEmbed is in scope; every figure carries its own spec.
const options = {renderer: "svg", actions: {export: true, source: false, compiled: false,
  editor: false}};
const ROOM = document.querySelector("main").clientWidth;
const LABELS = 140; // px that the labels of an axis take
const SEVERAL_LINES =
  "split(replace(datum.label, regexp('(.{6,18}) ', 'g'), '$1\\n'), '\\n')";

const drawn = [...document.querySelectorAll("figure.chart")].map((figure) => {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  if (ROOM < 700 && !figure.classList.contains("scrolls")) {
    if (JSON.stringify(spec).match(/"labelLimit":[2-9]\d\d/)) spec.height *= 1.8; // several lines
    fit(spec, spec.config);
  }
  const named = {...options, downloadFileName: figure.id};
  return vegaEmbed(figure.querySelector("div"), spec, named).then(({view}) => {
    figure.querySelector("summary").setAttribute("aria-label", "save this figure");
    link(view);
  });
});
Promise.all(drawn).then(() => {
  reach();
  document.body.dataset.drawn = String(drawn.length);
});

// What has to be scrolled can be reached by keys.
function reach() {
  for (const box of document.querySelectorAll("figure.chart, .table"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
}
addEventListener("toggle", reach, true);
addEventListener("resize", reach);

// A chart for a narrow page: panels below each other, no wider than the page.
function fit(node, config) {
  if (config) config.legend = {...config.legend, orient: "bottom", columns: 1};
  if (Array.isArray(node)) return node.forEach((each) => fit(each));
  if (!node || typeof node !== "object") return;
  if (node.hconcat) { node.vconcat = node.hconcat; delete node.hconcat; }
  if (node.columns > 1) node.columns = node.concat || node.facet ? 1 : 2;
  if (typeof node.title === "string" && node.field) node.title = lines(node.title, ROOM / 10);
  if (node.width > ROOM - LABELS) node.width = Math.max(150, ROOM - LABELS);
  if (node.labelLimit > LABELS) [node.labelLimit, node.labelExpr] = [LABELS, SEVERAL_LINES];
  if (node.title && node.title.text) node.title = wrapped(node.title, Math.floor(ROOM / 9.7));
  else if (typeof node.title === "string" && node.mark === undefined && (node.layer || node.width))
    node.title = lines(node.title, Math.floor(ROOM / 9.7));
  for (const key of Object.keys(node))
    if (key !== "datasets" && key !== "data" && key !== "title") fit(node[key]);
}
function wrapped(title, letters) {
  const more = [].concat(title.subtitle ?? []).flatMap((line) => lines(line, letters * 1.25));
  return {...title, text: [].concat(title.text).flatMap((line) => lines(line, letters)),
    subtitle: more};
}
function lines(text, letters) {
  const found = [""];
  for (const word of text.split(" ")) {
    const last = found.length - 1;
    if ((found[last] + word).length > letters && found[last]) found.push(word);
    else found[last] += (found[last] && " ") + word;
  }
  return found;
}

// Charts tell the explorer what is clicked, and show where it has moved to.
function link(view) {
  const tell = (detail) => document.dispatchEvent(new CustomEvent("chart-clicked", {detail}));
  view.addEventListener("click", (event, item) => {
    const {datum, mark} = item ?? {};
    if (!datum || ["line", "area"].includes(mark.marktype)) return; // it has its first point's
    tell(datum.datum ?? datum); // of the mark that is nearest, where that is looked for
  });
  const moved = ({name, value}) => {
    const signal = "MOVED_TO" + name;
    if (signal in view.getState().signals) view.signal(signal, value).runAsync();
  };
  document.addEventListener("explorer-moved", (event) => moved(event.detail));
  document.dispatchEvent(new CustomEvent("chart-drawn")); // it says where it is now
}

// What is folded opens for whoever goes there, and on paper.
const open = () => document.querySelector(location.hash || "#found")?.closest("details")
  ?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});

// The contents say where one is.
const parts = [...document.querySelectorAll("nav a")];
const places = parts.map((part) => document.querySelector(part.getAttribute("href")));
addEventListener("scroll", () => requestAnimationFrame(follow), {passive: true});
function follow() {
  const tops = places.map((place) => place.getBoundingClientRect().top);
  const asked = parts.findIndex((part) => part.hash === location.hash);
  const end = scrollY + innerHeight > document.documentElement.scrollHeight - 4;
  const here = end && tops[asked] >= 0 && tops[asked] < innerHeight ? asked
    : Math.max(0, tops.findLastIndex((top) => top < 120));
  parts.forEach((part, at) => part.toggleAttribute("aria-current", at === here));
}
follow();

// Tables can be taken away; what is short stays on one line.
for (const cell of document.querySelectorAll("td"))
  if (cell.textContent.length < 25) cell.classList.add("short");
for (const button of document.querySelectorAll("button.csv")) button.onclick = () => {
  const rows = [...button.parentElement.querySelectorAll("tr")].map((row) =>
    [...row.cells].map((cell) => `"${cell.textContent.replaceAll('"', '""')}"`).join(","));
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([rows.join("\r\n") + "\r\n"], {type: "text/csv"}));
  anchor.download = `${button.dataset.file}.csv`;
  anchor.click();
};
