"use strict";

const report = JSON.parse(document.getElementById("report-data").textContent);
const slider = document.getElementById("threshold");
const readout = document.getElementById("threshold-value");
const CLASSES = ["dynamic", "joint", "static", "residual", "dead"];

// ast: expressions are interpreted, so the page's policy can forbid eval.
const embed = (element, spec, renderer) =>
  vegaEmbed(element, spec, { mode: "vega-lite", renderer, config: report[renderer], actions: false, ast: true });

// Eq. 3; a tie does not encode.
function classOf(dynamic, static_, threshold) {
  if (dynamic === null || static_ === null) return "dead";
  if (dynamic > threshold) return static_ > threshold ? "joint" : "dynamic";
  return static_ > threshold ? "static" : "residual";
}

function classes(layer, threshold) {
  return layer.unit.map((_, i) => classOf(layer.dynamic[i], layer.static[i], threshold));
}

function countOf(labels) {
  const counts = Object.fromEntries(CLASSES.map((name) => [name, 0]));
  for (const label of labels) counts[label] += 1;
  return counts;
}

function share(count, units) {
  if (count > 0 && count < units / 200) return "<1\u202f%";
  if (count < units && count > (units * 199) / 200) return ">99\u202f%";
  return `${Math.round((100 * count) / units)}\u202f%`;
}

function drawBar(bar, counts, units) {
  for (const segment of bar.children) {
    const name = segment.dataset.class;
    const count = counts[name];
    segment.dataset.count = count;
    segment.style.flexGrow = count;
    segment.title = `${name}: ${count} of ${units} units`;
    segment.textContent = count >= 0.08 * units ? share(count, units) : "";
  }
  bar.setAttribute("aria-label", CLASSES.map((name) => `${name} ${counts[name]}`).join(", "));
}

// As words.number: a true minus sign, and none before zero.
function number(value) {
  const text = value.toFixed(2);
  return text.replace("-", Number(text) === 0 ? "" : "−");
}

function bounds(layer, factor, i) {
  const [low, high] = [layer[`${factor}_low`][i], layer[`${factor}_high`][i]];
  return low === null ? "–" : `[${number(low)}, ${number(high)}]`;
}

function points(layer, labels) {
  layer.texts ??= labels.map((_, i) => ["dynamic", "static"].map((factor) => bounds(layer, factor, i)));
  return labels.flatMap((label, i) => {
    if (label === "dead") return [];
    const [dynamic_95, static_95] = layer.texts[i];
    const [dynamic, static_] = [layer.dynamic[i], layer.static[i]];
    return { unit: layer.unit[i], class: label, dynamic, dynamic_95, static: static_, static_95 };
  });
}

async function openRun(article) {
  const { layers } = report.runs[article.dataset.run];
  const bars = [...article.querySelectorAll(".bar")];
  const caption = article.querySelector(".counts");
  const box = article.querySelector(".scatter");
  const { view } = await embed(box, report.scatter, "canvas");

  const draw = () => {
    const threshold = Number(slider.value);
    const chosen = Number(article.querySelector("input[type=radio]:checked").value);
    layers.forEach((layer, index) => {
      if (!layer.defined) {
        if (index === chosen) caption.textContent = `${layer.name}: undefined, it has fewer than two pairs.`;
        if (index === chosen) view.data("units", []);
        return;
      }
      const labels = classes(layer, threshold);
      const counts = countOf(labels);
      drawBar(bars[index], counts, labels.length);
      if (index !== chosen) return;
      caption.textContent =
        `${layer.name} at λ = ${readout.textContent}: ${counts.dynamic} dynamic, ${counts.joint} joint, ` +
        `${counts.static} static, ${counts.residual + counts.dead} residual` +
        (counts.dead ? `, of which ${counts.dead} dead and not drawn.` : ".");
      view
        .signal("size", layer.point)
        .data("units", points(layer, labels));
    });
    view.signal("threshold", threshold).runAsync();
  };

  const fit = () => {
    const side = Math.max(160, Math.min(360, box.parentElement.clientWidth - 70));
    view.width(side).height(side).runAsync();
  };

  const ink = (colour) => view.signal("ink", colour).run();
  const onScreen = () => ink(getComputedStyle(document.body).color);

  onScreen();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onScreen);
  addEventListener("beforeprint", () => ink("black"));
  addEventListener("afterprint", onScreen);
  article.addEventListener("change", draw);
  new ResizeObserver(fit).observe(box.parentElement);
  return draw;
}

async function open() {
  const curves = [...document.querySelectorAll(".curves")].map((element) =>
    embed(element, report.runs[element.dataset.run].curves, "svg"),
  );
  const removals = [...document.querySelectorAll(".removal")].map((element, index) =>
    embed(element, report.removals[index], "svg"),
  );
  const draws = await Promise.all([...document.querySelectorAll("article.run")].map(openRun));
  let asked = false;
  const draw = () => {
    readout.textContent = Number(slider.value).toFixed(slider.step === "any" ? 4 : 2);
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draws.forEach((drawRun) => drawRun());
    });
  };
  slider.addEventListener("input", draw);
  document.getElementById("reset").addEventListener("click", () => {
    slider.value = slider.defaultValue;
    draw();
  });
  draw();
  await Promise.all([...curves, ...removals]);
}

open();
