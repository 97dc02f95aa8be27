// What the form of each head asks, and how its answer is shown.

const percent = (score) => `${(100 * score).toFixed(1)} %`;

/** An element with children. */
function make(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** A list of names with values and bars; a bar is as long as its share, from 0 to 1. */
function bars(rows, className = "scores ranked") {
  return make("ol", className, ...rows.map(({ name, value, share }) => {
    const row = make("li", "", make("span", "", name), make("span", "value", value));
    if (share === undefined) return row;
    const bar = make("span", "bar");
    bar.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    row.append(make("span", "track", bar));
    return row;
  }));
}

/** A text with stretches marked, each with an optional label. */
function passage(text, stretches) {
  const parts = [];
  let position = 0;
  for (const { start, end, label } of stretches) {
    parts.push(text.slice(position, start));
    const mark = make("mark", "", text.slice(start, end));
    if (label !== undefined) mark.append(make("span", "label", label));
    parts.push(mark);
    position = end;
  }
  parts.push(text.slice(position));
  return make("p", "passage", ...parts);
}

function cosine(one, other) {
  const product = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  return product(one, other) / Math.sqrt(product(one, one) * product(other, other));
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

export const TASKS = {
  sequence_classification: {
    kind: "Text classification",
    action: "Classify",
    fields: [{ name: "text", label: "Text", rows: 4 }],
    example: { text: "The room was quiet and clean, and everybody at the desk was kind. We will come back." },
    async show(model, { text }) {
      const { labels } = await model.answer(text);
      const isRegression = model.manifest.problem_type === "regression";
      return [bars(labels.map(({ label, score }) => ({
        name: label, value: isRegression ? score.toFixed(3) : percent(score), share: isRegression ? undefined : score,
      })))];
    },
  },

  token_classification: {
    kind: "Token classification",
    action: "Find labels",
    fields: [{ name: "text", label: "Text", rows: 4 }],
    example: { text: "yes i think so what did anna say about paris" },
    async show(model, { text }) {
      const entities = await model.answer(text);
      if (entities.length === 0) return [make("p", "", "No part of the text has a label.")];
      return [
        passage(text, entities),
        bars(entities.map(({ label, text: stretch, score }) => ({
          name: `${stretch} · ${label}`, value: percent(score), share: score,
        })), "scores"),
      ];
    },
  },

  question_answering: {
    kind: "Question answering",
    action: "Find the answer",
    fields: [
      { name: "question", label: "Question" },
      { name: "context", label: "Text that holds the answer", rows: 7 },
    ],
    example: {
      question: "When did the bridge open?",
      context: "The old ferry crossed the river twice a day. Building a bridge took eleven years and two companies. "
        + "It opened in the spring of 1932, and the ferry made its last journey a week later.",
    },
    async show(model, { question, context }) {
      const [best] = (await model.answer([question, context])).candidates;
      if (best === undefined || best.text === "") return [make("p", "", "The text does not seem to answer this.")];
      return [
        make("p", "large", best.text),
        passage(context, [best]),
        bars([{ name: "Confidence", value: percent(best.score), share: best.score }], "scores"),
      ];
    },
  },

  masked_lm: {
    kind: "Filling masks",
    action: "Fill the mask",
    fields: [{ name: "text", label: "Text", rows: 3, hint: "Write [MASK] where a word is wanted." }],
    example: { text: "The food in this hotel was [MASK]." },
    async show(model, { text }) {
      const masks = await model.answer(text);
      return masks.flatMap(({ fills }, index) => [
        ...(masks.length > 1 ? [make("h3", "", `Mask ${index + 1}`)] : [make("p", "large", fills[0].sequence)]),
        bars(fills.map((fill) => ({ name: fill.text, value: percent(fill.score), share: fill.score }))),
      ]);
    },
  },

  features: {
    kind: "Text embeddings",
    action: "Compare",
    fields: [
      { name: "text", label: "Text", rows: 2 },
      { name: "others", label: "Texts to compare it with", rows: 4, hint: "One text a line; the most similar comes first." },
    ],
    example: {
      text: "How do I get a refund?",
      others: "I want my money back.\nWhere can I find your opening hours?\nThe museum is closed on Mondays.",
    },
    async show(model, { text, others }) {
      const embedding = await model.answer(text);
      const similarities = [];
      for (const other of lines(others)) {
        similarities.push({ name: other, similarity: cosine(embedding, await model.answer(other)) });
      }
      similarities.sort((one, other) => other.similarity - one.similarity);
      const numbers = make("pre", "numbers", embedding.map((value) => value.toFixed(4)).join(" "));
      numbers.tabIndex = 0;
      numbers.setAttribute("role", "region");
      numbers.setAttribute("aria-label", "The embedding's numbers");
      return [
        bars(similarities.map(({ name, similarity }) => ({
          name, value: similarity.toFixed(3), share: similarity,
        }))),
        make("h3", "", `The embedding of the first text: ${embedding.length} numbers`),
        numbers,
      ];
    },
  },

  multiple_choice: {
    kind: "Multiple choice",
    action: "Rank the options",
    fields: [
      { name: "context", label: "Context", rows: 2 },
      {
        name: "options",
        label: "Options",
        rows: 4,
        hint: ({ spans }) => `One option a line, ${spans.choices.low} to ${spans.choices.high} of them.`,
      },
    ],
    example: {
      context: "How do I boil an egg?",
      options: "Put the egg in a drawer for eight minutes.\nPut the egg in boiling water for eight minutes.\n"
        + "Put the egg in the freezer for eight minutes.",
    },
    async show(model, { context, options }) {
      const texts = lines(options);
      const { scores } = await model.answer([context, texts]);
      const order = texts.map((_, index) => index).sort((one, other) => scores[other] - scores[one]);
      return [bars(order.map((index) => ({ name: texts[index], value: percent(scores[index]), share: scores[index] })))];
    },
  },
};
