// Answers the examples of the package and compares with the validated answers.

import { describe, load } from "./engine.js";
import { checkExample } from "./distilforge/check.js";

async function test() {
  const begin = performance.now();
  const description = await describe();
  const model = await load(description);
  const { examples } = await (await fetch("examples.json", { cache: "no-cache" })).json();
  let largestError = 0;
  let startSeconds = 0;
  const isExact = description.settings.precision === "fp32";
  for (const example of examples) {
    largestError = Math.max(largestError, await checkExample(model, example, { isExact }));
    if (startSeconds === 0) startSeconds = (performance.now() - begin) / 1000;
  }
  return {
    client: description.settings.client,
    start_seconds: startSeconds,
    examples: examples.length,
    largest_error: largestError,
  };
}

async function show() {
  const verdict = document.getElementById("verdict");
  let report;
  try {
    report = await test();
    verdict.textContent = `Passed: ${report.examples} examples, the first after ${report.start_seconds.toFixed(2)} s; `
      + `the largest difference is ${report.largest_error.toExponential(1)}.`;
  } catch (error) {
    report = { error: String(error?.message ?? error) };
    verdict.textContent = `Failed: ${report.error}`;
    verdict.parentElement.classList.add("error");
  }
  document.getElementById("outcome").setAttribute("aria-busy", "false");
  // self_test.py opens this page with ?report and waits for it
  if (new URLSearchParams(location.search).has("report")) {
    await fetch("report", { method: "POST", body: JSON.stringify(report) });
  }
}

show();
