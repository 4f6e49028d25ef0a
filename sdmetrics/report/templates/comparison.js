"use strict";

const { config, charts } = JSON.parse(document.getElementById("report-data").textContent);

// ast: expressions are interpreted, so the page's policy can forbid eval.
for (const element of document.querySelectorAll(".curves")) {
  vegaEmbed(element, charts[element.dataset.chart], { mode: "vega-lite", renderer: "svg", config, actions: false, ast: true });
}
