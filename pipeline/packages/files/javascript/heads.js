// What the model answers, one function for each head. Answers have the fields of the Python package distilforge.
// Positions in texts count UTF-16 units, as JavaScript does.

import { checkLength, encode, InputError, specialTokens, truncated, windows } from "./encoding.js";
import { largest, mean, sigmoid, softmax } from "./probabilities.js";

const USUAL_WINDOW = 384;
const MOST_ANSWER_TOKENS = 15;
const EXCLUDED = -10000;

/** The labels of a text, or of a pair [text, text], best first. */
async function classify(model, input) {
  const [text, pair] = typeof input === "string" ? [input, null] : input;
  const encoding = encode(model.tokenizer, text, pair);
  checkLength(encoding, model.mostTokens);
  const logits = (await model.run([encoding])).logits.data;
  const kind = model.manifest.problem_type;
  const { labels } = model.manifest;
  let scores = softmax(logits);
  if (kind === "regression") scores = Array.from(logits);
  else if (kind === "multi_label_classification" || labels.length === 1) scores = sigmoid(logits);
  return { labels: largest(scores, scores.length).map((index) => ({ label: labels[index], score: scores[index] })) };
}

/** The stretches of a text that have a label. */
async function tag(model, text) {
  const encoding = encode(model.tokenizer, text);
  checkLength(encoding, model.mostTokens);
  const { data, dims } = (await model.run([encoding])).logits;
  const count = dims.at(-1);
  const { labels } = model.manifest;
  const groups = [];
  encoding.tokens.forEach((token, index) => {
    if (encoding.sequences[index] === null) return;
    const scores = softmax(data.subarray(index * count, (index + 1) * count));
    const [best] = largest(scores, 1);
    const [start, end] = encoding.offsets[index];
    const isUnknown = token === model.tokenizer.model.unk_token;
    const span = {
      label: labels[best], score: scores[best], word: isUnknown ? text.slice(start, end) : token, start, end,
    };
    const { begins, kind } = prefixAndKind(span.label);
    const last = groups.at(-1);
    if (last && !begins && kind === prefixAndKind(last.at(-1).label).kind) last.push(span);
    else groups.push([span]);
  });
  return groups.map((group) => {
    const { start } = group[0];
    const { end } = group.at(-1);
    const dash = group[0].label.indexOf("-");
    return {
      label: dash < 0 ? group[0].label : group[0].label.slice(dash + 1),
      score: mean(group.map((span) => span.score)),
      text: text.slice(start, end),
      word: model.tokenizer.decoder.decode(group.map((span) => span.word)),
      start,
      end,
    };
  }).filter((entity) => entity.label !== "O");
}

function prefixAndKind(label) {
  const prefixed = label.startsWith("B-") || label.startsWith("I-");
  return { begins: prefixed && label[0] === "B", kind: prefixed ? label.slice(2) : label };
}

/** The stretch of a context that answers a question, as the best of some candidates; the input is a pair of texts. */
async function answer(model, [question, context]) {
  const encodings = windows(model.tokenizer, question, context, Math.min(model.mostTokens, USUAL_WINDOW));
  const answers = new Map();
  for (const encoding of encodings) {
    const { start_logits: starts, end_logits: ends } = await model.run([encoding]);
    const length = encoding.ids.length;
    for (const span of spans(encoding, starts.data.subarray(0, length), ends.data.subarray(0, length))) {
      const { start, end } = wholeWords(model, encoding, span);
      const text = context.slice(start, end);
      const known = answers.get(text.toLowerCase());
      if (known === undefined) answers.set(text.toLowerCase(), { text, score: span.score, start, end });
      else known.score += span.score;
    }
  }
  return { candidates: [...answers.values()].sort((one, other) => other.score - one.score).slice(0, 1) };
}

/** The best spans of tokens in one window, as transformers ranks them. */
function spans(encoding, startLogits, endLogits) {
  const isAllowed = encoding.sequences.map((sequence, index) => sequence === 1 || index === 0);
  const masked = (logits) => softmax(Array.from(logits, (logit, index) => (isAllowed[index] ? logit : EXCLUDED)));
  const starts = masked(startLogits);
  const ends = masked(endLogits);
  const candidates = [];
  for (let first = 1; first < starts.length; first += 1) {
    if (!isAllowed[first]) continue;
    for (let last = first; last < Math.min(starts.length, first + MOST_ANSWER_TOKENS); last += 1) {
      if (isAllowed[last]) candidates.push({ first, last, score: starts[first] * ends[last] });
    }
  }
  // Several spans may widen to the same words, so more are needed than are returned
  return candidates.sort((one, other) => other.score - one.score).slice(0, 12);
}

/** The characters of a span of tokens, widened to whole words. */
function wholeWords(model, encoding, { first, last }) {
  const prefix = model.tokenizer.model.config.continuing_subword_prefix;
  const continues = (index) => encoding.sequences[index] === 1 && encoding.tokens[index].startsWith(prefix);
  let start = first;
  while (continues(start) && encoding.sequences[start - 1] === 1) start -= 1;
  let end = last;
  while (end + 1 < encoding.tokens.length && continues(end + 1)) end += 1;
  return { start: encoding.offsets[start][0], end: encoding.offsets[end][1] };
}

/** The five most probable tokens for each mask of a text. */
async function fill(model, text) {
  const encoding = encode(model.tokenizer, text);
  checkLength(encoding, model.mostTokens);
  const { mask_token: mask, pad_token: padding } = specialTokens(model.tokenizer);
  const maskId = model.tokenizer.token_to_id(mask);
  const positions = encoding.ids.flatMap((id, index) => (id === maskId ? [index] : []));
  if (positions.length === 0) throw new InputError(`The text has no mask. Write ${mask} where a word is wanted.`);
  const { data, dims } = (await model.run([encoding])).logits;
  const count = dims.at(-1);
  const paddingId = model.tokenizer.token_to_id(padding);
  return positions.map((position) => {
    const scores = softmax(data.subarray(position * count, (position + 1) * count));
    const [start, end] = encoding.offsets[position];
    const fills = largest(scores, 5).map((token) => ({
      token,
      text: model.tokenizer.decode([token], { skip_special_tokens: false }),
      score: scores[token],
      sequence: model.tokenizer.decode(
        encoding.ids.map((id, index) => (index === position ? token : id)).filter((id) => id !== paddingId),
        { skip_special_tokens: positions.length === 1 },
      ),
    }));
    return { start, end, fills };
  });
}

/** The embedding of a text, as an array of numbers. */
async function embed(model, text) {
  const declared = model.manifest.outputs.some((output) => output.name === "sentence_embedding");
  let encoding = encode(model.tokenizer, model.prompt + text);
  if (declared) encoding = truncated(encoding, model.mostTokens);
  else checkLength(encoding, model.mostTokens);
  const outputs = await model.run([encoding]);
  if (declared) return Array.from(outputs.sentence_embedding.data);
  const { data, dims } = outputs.last_hidden_state;
  const width = dims.at(-1);
  const count = encoding.ids.length;
  return Array.from({ length: width }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < count; row += 1) sum += data[row * width + column];
    return sum / count;
  });
}

/** Which option fits a context best; the input is [context, options]. */
async function choose(model, [context, options]) {
  const { low, high } = model.manifest.spans.choices;
  if (options.length < low || options.length > high) {
    throw new InputError(`There are ${options.length} options; this model takes ${low} to ${high}.`);
  }
  const encodings = options.map((option) => encode(model.tokenizer, context, option));
  encodings.forEach((encoding) => checkLength(encoding, model.mostTokens));
  const scores = softmax((await model.run(encodings)).logits.data);
  const [index] = largest(scores, 1);
  return { index, text: options[index], scores };
}

/** The function of each head, by the names of the manifest. */
export const HEADS = {
  features: embed,
  masked_lm: fill,
  multiple_choice: choose,
  question_answering: answer,
  sequence_classification: classify,
  token_classification: tag,
};
