// Whether a model answers the examples of a package as it was validated.

const EXACT = 1e-3; // float32 kernels that add in another order differ by about 3e-5; a wrong mask differs by more

/**
 * The largest difference between the outputs of `model` and those of `example`, one of examples.json.
 *
 * Token ids must be equal. Outputs may differ by the tolerance of the example. Where the package holds float32, the
 * answer must be the same too; in 8 bits another engine may round to the next step, which moves scores.
 *
 * @returns {Promise<number>}
 */
export async function checkExample(model, example, { isExact }) {
  const { answer, calls } = await model.trace(example.input);
  const [{ feeds, outputs }] = calls;
  for (const [name, expected] of Object.entries(example.feeds)) {
    const ids = Array.from(feeds[name].data, Number);
    if (JSON.stringify(ids) !== JSON.stringify(expected.flat(Infinity))) {
      throw new Error(`${name} is ${ids}, not ${expected}`);
    }
  }
  let largest = 0;
  for (const [name, { stride, tolerance, values }] of Object.entries(example.outputs)) {
    const { data } = outputs[name];
    if (Math.ceil(data.length / stride) !== values.length) {
      throw new Error(`${name} has ${data.length} numbers; expected ${values.length} at a stride of ${stride}`);
    }
    values.forEach((value, index) => {
      largest = Math.max(largest, compareNumbers(data[index * stride], value, tolerance, `${name}[${index * stride}]`));
    });
  }
  // The example has the best label alone
  if (answer.labels !== undefined) answer.labels.length = example.answer.labels.length;
  if (isExact) compare(answer, example.answer, EXACT, "the answer");
  return largest;
}

function compare(observed, expected, tolerance, place) {
  if (typeof expected === "number") {
    compareNumbers(observed, expected, tolerance, place);
  } else if (expected === null || typeof expected !== "object") {
    if (observed !== expected) {
      throw new Error(`${place} is ${JSON.stringify(observed)}, not ${JSON.stringify(expected)}`);
    }
  } else {
    const names = Object.keys(expected);
    if (observed === null || typeof observed !== "object" || Object.keys(observed).length !== names.length) {
      throw new Error(`${place} has other parts: ${JSON.stringify(observed)?.slice(0, 200)}`);
    }
    for (const name of names) compare(observed[name], expected[name], tolerance, `${place}.${name}`);
  }
}

function compareNumbers(observed, expected, tolerance, place) {
  const difference = Math.abs(observed - expected);
  if (!(difference <= tolerance)) {
    throw new Error(`${place} is ${observed}, not ${expected}; they may differ by ${tolerance}`);
  }
  return difference;
}
