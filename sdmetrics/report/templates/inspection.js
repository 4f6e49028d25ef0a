"use strict";

const report = JSON.parse(document.getElementById("report-data").textContent);
const slider = document.getElementById("threshold");
const readout = document.getElementById("threshold-value");
const CLASSES = ["dynamic", "joint", "static", "residual"];
const cards = [...document.querySelectorAll("details.unit")];

// Eq. 3; a tie does not encode.
function classOf({ dynamic, static: static_ }, threshold) {
  if (dynamic === null || static_ === null) return "residual";
  if (dynamic > threshold) return static_ > threshold ? "joint" : "dynamic";
  return static_ > threshold ? "static" : "residual";
}

function points(unit) {
  return unit.places.map((place, i) => {
    const clip = report.clips[place];
    const kind = unit.highest.includes(clip) ? "highest" : unit.lowest.includes(clip) ? "lowest" : "clip";
    const [first, second, third] = unit.responses.map((values) => values[i]);
    return { clip, kind, label: unit.labels[clip] ?? "–", first, second, third };
  });
}

// Drawn when it is first seen: in a closed card nothing has a width.
async function draw(card) {
  const box = card.querySelector(".responses");
  if (box.dataset.drawn) return;
  box.dataset.drawn = "yes";
  const spec = { ...report.scatter, datasets: { clips: points(report.units[card.dataset.index]) } };
  // ast: expressions are interpreted, so the page's policy can forbid eval.
  await vegaEmbed(box, spec, { mode: "vega-lite", renderer: "svg", config: report.svg, actions: false, ast: true });
}

function classify() {
  const threshold = Number(slider.value);
  readout.textContent = threshold.toFixed(slider.step === "any" ? 4 : 2);
  const counts = Object.fromEntries(CLASSES.map((name) => [name, 0]));
  for (const card of cards) {
    const name = classOf(report.units[card.dataset.index], threshold);
    const badge = card.querySelector(".badge");
    badge.textContent = name;
    badge.className = `badge ${name}`;
    counts[name] += 1;
  }
  const text = CLASSES.map((name) => `${counts[name]} ${name}`).join(", ");
  document.querySelector(".counts").textContent = `Of the units shown, at λ = ${readout.textContent}: ${text}.`;
}

for (const card of cards) card.addEventListener("toggle", () => card.open && draw(card));
slider.addEventListener("input", classify);
document.getElementById("reset").addEventListener("click", () => {
  slider.value = slider.defaultValue;
  classify();
});
classify();
cards.filter((card) => card.open).forEach(draw);
