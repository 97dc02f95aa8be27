// From logits to probabilities.

/** Probabilities that sum to 1, of the same length as `logits`. */
export function softmax(logits) {
  let largest = -Infinity;
  for (const logit of logits) largest = Math.max(largest, logit);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/** The probability of each logit alone. */
export function sigmoid(logits) {
  return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
}

/** The indices of the `count` largest values, largest first; of equal values the first one goes first. */
export function largest(values, count) {
  return Array.from(values, (_, index) => index)
    .sort((one, other) => values[other] - values[one] || one - other)
    .slice(0, count);
}

/** The mean of some numbers. */
export function mean(values) {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
