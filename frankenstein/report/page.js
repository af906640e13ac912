// What a report does when it is touched. Without this script the page holds all the same.
"use strict";
document.documentElement.classList.add("touch");

const make = (tag, attributes = {}, text = "") => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};
const digits = (value) => (value === null ? "n/a" : String(Number(value.toPrecision(4))));
const save = (name, type, content) => {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

// Colours, as the figures have them: from low to high, and about zero.
const SCALES = {
  up: ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"],
  about: ["#053061", "#2f79b5", "#87beda", "#dbeaf2", "#f7f6f6", "#fbd7c5", "#ee8f71", "#be3036", "#67001f"],
};
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const colour = (value, [low, high]) => {
  if (value === null) return [191, 191, 191];
  const stops = low === -high ? SCALES.about : SCALES.up;
  const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (stops.length - 1);
  const at = Math.min(stops.length - 2, Math.floor(share));
  const [from, to] = [channels(stops[at]), channels(stops[at + 1])];
  return from.map((one, i) => Math.round(one + (to[i] - one) * (share - at)));
};
const ink = ([red, green, blue]) => (0.299 * red + 0.587 * green + 0.114 * blue > 127 ? "black" : "white");

// One matrix: what a cell says, by mouse, tap or arrow keys.
const matrices = [...document.querySelectorAll("figure.matrix")].map((figure) => {
  const svg = figure.querySelector("svg");
  const grid = svg.querySelector(".grid");
  const told = JSON.parse(figure.querySelector("script").textContent);
  const [height, width] = [told.rows.length, told.columns.length];
  const places = [...grid.querySelectorAll("rect")];
  const numbers = [...grid.querySelectorAll("text")];
  const said = figure.querySelector("output");
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  mark.setAttribute("class", "mark");
  mark.setAttribute("visibility", "hidden");
  const side = Number(grid.dataset.side);
  mark.setAttribute("width", side);
  mark.setAttribute("height", side);
  grid.append(mark);
  let at = null;

  const words = (i, j) => {
    const parts = [`${told.rows[i]} \u2192 ${told.columns[j]}: ${digits(told.values[i][j])}`];
    if (told.low) parts.push(`95 % interval ${digits(told.low[i][j])} to ${digits(told.high[i][j])}`);
    if (told.null) parts.push(`shuffled examples ${digits(told.null[i][j])}`);
    return parts.join("; ");
  };
  const point = (i, j) => {
    at = [Math.min(height - 1, Math.max(0, i)), Math.min(width - 1, Math.max(0, j))];
    mark.setAttribute("visibility", "visible");
    mark.setAttribute("x", at[1] * side);
    mark.setAttribute("y", at[0] * side);
    said.textContent = words(...at);
  };
  const of = (event) => {
    const place = places.indexOf(event.target);
    return place >= 0 ? [Math.floor(place / width), place % width] : null;
  };
  const paint = (limits) => {
    places.forEach((place, index) => {
      const now = colour(told.values[Math.floor(index / width)][index % width], limits);
      place.setAttribute("fill", `rgb(${now})`);
      if (numbers[index]) numbers[index].setAttribute("fill", ink(now));
    });
    const bar = [...svg.querySelectorAll(".bar rect")];
    bar.forEach((one, i) => {
      const value = limits[1] + ((limits[0] - limits[1]) * i) / (bar.length - 1);
      one.setAttribute("fill", `rgb(${colour(value, limits)})`);
    });
    const ends = svg.querySelectorAll(".bar text");
    [ends[0].textContent, ends[1].textContent] = [digits(limits[1]), digits(limits[0])];
  };
  svg.addEventListener("pointermove", (event) => of(event) && point(...of(event)));
  svg.addEventListener("click", (event) => {
    if (!of(event)) return;
    point(...of(event));
    pair(figure, told, ...at);
  });
  const box = figure.querySelector(".wide");
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key in steps) {
      event.preventDefault();
      const [down, right] = at === null ? [0, 0] : steps[event.key];
      point((at || [0, 0])[0] + down, (at || [0, 0])[1] + right);
      mark.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else if (event.key === "Enter" && at) pair(figure, told, ...at);
  });
  return { figure, told, paint };
});

// The name of a point of a map; at a click the images that it answers to most, which stand below.
for (const map of document.querySelectorAll(".map")) {
  const said = map.nextElementSibling;
  const strips = [...document.querySelectorAll("[data-of]")];
  const name = (event) => {
    if (!event.target.matches("circle")) return;
    said.textContent = event.target.textContent;
    const strip = strips.find((one) => one.dataset.of === event.target.dataset.point);
    if (event.type === "click" && strip) said.append(strip.querySelector("img").cloneNode());
  };
  for (const kind of ["pointerover", "click"]) map.addEventListener(kind, name);
}

// Everything that the page knows of one pair of layers.
function pair(figure, told, i, j) {
  figure.querySelector(".pair")?.remove();
  const [row, column] = [told.rows[i], told.columns[j]];
  const panel = make("div", { class: "pair", role: "group", "aria-label": "one pair" });
  panel.append(make("strong", {}, `${row} \u2192 ${column}`));
  const lines = matrices.flatMap(({ told: one }) => {
    const [r, c] = [one.rows.indexOf(row), one.columns.indexOf(column)];
    if (r < 0 || c < 0) return [];
    const interval = one.low ? `${digits(one.low[r][c])} to ${digits(one.high[r][c])}` : "";
    const chance = one.null ? digits(one.null[r][c]) : "";
    return [[`${one.measure}, ${one.kind}`, digits(one.values[r][c]), interval, chance]];
  });
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const name of ["", "value", "95 % interval", "shuffled"]) head.append(make(name ? "th" : "td", name ? { scope: "col" } : {}, name));
  const body = table.createTBody();
  for (const line of lines) {
    const cells = body.insertRow();
    line.forEach((text, at) => cells.append(make(at ? "td" : "th", at ? {} : { scope: "row" }, text)));
  }
  panel.append(table);
  if (told.command) {
    panel.append(make("p", {}, "To look at this pair alone:"));
    panel.append(make("pre", {}, told.command.replace("{row}", row).replace("{column}", column)));
  }
  const close = make("button", { type: "button" }, "close");
  close.addEventListener("click", () => panel.remove());
  panel.append(close);
  figure.querySelector("figcaption").before(panel);
}

// One choice for all matrices: which is shown, and over which colours.
function choices() {
  if (!matrices.length) return;
  const bar = make("div", { class: "choices", role: "group", "aria-label": "what the matrices show" });
  const select = (name, options, change) => {
    const label = make("label", {}, `${name} `);
    const list = make("select");
    for (const text of options) list.append(make("option", { value: text }, text));
    list.addEventListener("change", () => change(list.value));
    label.append(list);
    bar.append(label);
    return list;
  };
  const shown = { measure: "all", kind: "all" };
  const show = () => {
    for (const { figure, told } of matrices) {
      figure.hidden = ["measure", "kind"].some((key) => shown[key] !== "all" && told[key] !== shown[key]);
    }
  };
  for (const [key, name] of [["measure", "measure"], ["kind", "numbers"]]) {
    const known = [...new Set(matrices.map(({ told }) => told[key]))];
    if (known.length > 1) select(name, ["all", ...known], (value) => { shown[key] = value; show(); });
  }
  select("colours", ["of the measure's range", "of these values"], (value) => {
    for (const { told, paint } of matrices) {
      const known = told.values.flat().filter((one) => one !== null);
      const span = [Math.min(...known), Math.max(...known)];
      paint(value === "of these values" && span[0] < span[1] ? span : told.limits);
    }
  });
  const first = matrices[0].figure;
  (first.closest("details") || first).before(bar);
}
choices();

// Figures and tables to take along. Where the page has them inside it needs no file beside it.
const drawn = (svg) => {
  const copy = svg.cloneNode(true);
  copy.querySelector(".mark")?.remove();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("style", "background: white; color: black; font: 11px monospace");
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = ".row{text-anchor:end}.middle,.grid text{text-anchor:middle}.grid text{font-size:10px}";
  copy.prepend(style);
  return new XMLSerializer().serializeToString(copy);
};
const comma = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
for (const figure of document.querySelectorAll("figure")) {
  const [svg, image] = [figure.querySelector("svg"), figure.querySelector("img")];
  for (const link of figure.querySelectorAll(".get a")) {
    const name = link.getAttribute("download");
    link.addEventListener("click", (event) => {
      if (image && name.endsWith(".png")) link.href = image.src;
      else if (svg && name.endsWith(".svg")) {
        event.preventDefault();
        save(name, "image/svg+xml", drawn(svg));
      } else if (svg && name.endsWith(".png")) {
        event.preventDefault();
        const picture = new Image();
        picture.onload = () => {
          const canvas = make("canvas", { width: 3 * svg.viewBox.baseVal.width, height: 3 * svg.viewBox.baseVal.height });
          canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
          canvas.toBlob((blob) => save(name, "image/png", blob));
        };
        picture.src = `data:image/svg+xml,${encodeURIComponent(drawn(svg))}`;
      } else if (svg && name.endsWith(".csv")) {
        event.preventDefault();
        const told = JSON.parse(figure.querySelector("script").textContent);
        const lines = told.rows.map((row, i) => [row, ...told.values[i].map((one) => (one === null ? "nan" : String(one)))]);
        save(name, "text/csv", [[told.measure, ...told.columns], ...lines].map((line) => line.map(comma).join(",")).join("\n") + "\n");
      }
    });
  }
}
const latex = (text) =>
  text
    .replace(/[\\{}&%$#_~^]/g, (one) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[one] || `\\${one}`)
    .replaceAll("\u00b1", "$\\pm$")
    .replaceAll("\u2192", "$\\to$")
    .replaceAll("\u2713", "$\\checkmark$");
for (const box of document.querySelectorAll("div.wide")) {
  const table = box.querySelector("table");
  if (!table || table.rows.length < 2) continue;
  const rows = () => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
  const bar = make("p", { class: "get" });
  const button = (name, act) => {
    const one = make("button", { type: "button" }, name);
    one.addEventListener("click", act);
    bar.append(one);
    return one;
  };
  button("CSV", () => save("table.csv", "text/csv", rows().map((row) => row.map(comma).join(",")).join("\n") + "\n"));
  const copy = button("LaTeX", () => {
    const sides = [...table.rows[1].cells].map((cell) => (cell.style.textAlign === "right" ? "r" : "l")).join("");
    const [head, ...body] = rows().map((row) => `  ${row.map(latex).join(" & ")} \\\\`);
    const text = [`\\begin{tabular}{${sides}}`, "  \\toprule", head, "  \\midrule", ...body, "  \\bottomrule", "\\end{tabular}", ""].join("\n");
    const area = make("textarea", { readonly: "", rows: Math.min(12, body.length + 6), "aria-label": "the table in LaTeX" });
    area.value = text;
    bar.nextElementSibling?.matches("textarea") && bar.nextElementSibling.remove();
    bar.after(area);
    area.focus();
    area.select();
    navigator.clipboard?.writeText(text).then(() => (copy.textContent = "LaTeX, copied"), () => {});
  });
  box.after(bar);
}
// Tables that ask for it are sorted by the header that is clicked, and the other way round by the next click.
// Above them is a field for words: rows that have all of them stay.
for (const table of document.querySelectorAll("table[data-sort]")) {
  const body = table.tBodies[0];
  const label = make("label", {}, "show only rows with ");
  const field = make("input", { type: "search" });
  label.append(field);
  table.parentElement.before(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of body.rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => a.cells[at].textContent.localeCompare(b.cells[at].textContent, "en", { numeric: true });
      body.append(...[...body.rows].sort((a, b) => (down ? -order(a, b) : order(a, b))));
    });
  });
}
document.documentElement.dataset.ready = "yes";
