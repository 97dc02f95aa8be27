// What each client answers for releases that it reads unchanged; runs in Node.js and in browsers.
//
// A case has `folder`, the address of a release; its `head`; and `examples` with `input` and `feeds`. An answer has the
// graph's outputs as flat arrays, one object for each example.

const TRANSFORMERS_CLASSES = {
  features: "AutoModel",
  masked_lm: "AutoModelForMaskedLM",
  question_answering: "AutoModelForQuestionAnswering",
  sequence_classification: "AutoModelForSequenceClassification",
  token_classification: "AutoModelForTokenClassification",
};
const PIPELINES = {
  features: (run, text) => run(text, { pooling: "mean" }),
  masked_lm: (run, text) => run(text),
  question_answering: (run, [question, context]) => run(question, context),
  sequence_classification: (run, text) => run(text),
  token_classification: (run, text) => run(text),
};
const TASKS = {
  features: "feature-extraction",
  masked_lm: "fill-mask",
  question_answering: "question-answering",
  sequence_classification: "text-classification",
  token_classification: "token-classification",
};

/** Answers of transformers.js, which tokenizes too; and what its pipeline for the head gives. */
export async function transformers(library, cases) {
  library.env.allowRemoteModels = false;
  // In browsers the library asks only its hub unless this is set
  library.env.allowLocalModels = true;
  const answers = {};
  for (const { name, folder, head, examples } of cases) {
    if (!(head in TASKS)) continue;
    const cut = folder.replace(/\/$/, "").lastIndexOf("/") + 1;
    library.env.localModelPath = folder.slice(0, cut);
    const model = folder.slice(cut).replace(/\/$/, "");
    const tokenizer = await library.AutoTokenizer.from_pretrained(model);
    const network = await library[TRANSFORMERS_CLASSES[head]].from_pretrained(model, { dtype: "fp32" });
    const run = await library.pipeline(TASKS[head], model, { dtype: "fp32" });
    answers[name] = [];
    for (const { input } of examples) {
      const [text, pair] = typeof input === "string" ? [input, undefined] : input;
      const inputs = tokenizer(text, { text_pair: pair });
      const result = await PIPELINES[head](run, input);
      answers[name].push({
        ids: Array.from(inputs.input_ids.data, Number),
        outputs: plain(await network(inputs)),
        pipeline: head === "features" ? Array.from(result.data) : result,
      });
    }
  }
  return answers;
}

/** Answers of ONNX Runtime, whose JavaScript API is the same in Node.js and in browsers. */
export async function onnxruntime(ort, cases, { graph, provider }) {
  const answers = {};
  for (const { name, folder, examples } of cases) {
    const session = await ort.InferenceSession.create(await graph(`${folder}onnx/model.onnx`), {
      executionProviders: [provider],
    });
    answers[name] = [];
    for (const { feeds } of examples) {
      const tensors = Object.entries(feeds).map(([input, rows]) => {
        const data = BigInt64Array.from(rows.flat(Infinity), BigInt);
        return [input, new ort.Tensor("int64", data, shape(rows))];
      });
      answers[name].push({ outputs: plain(await session.run(Object.fromEntries(tensors))) });
    }
  }
  return answers;
}

function plain(outputs) {
  const tensors = Object.entries(outputs).filter(([, output]) => output?.data !== undefined);
  return Object.fromEntries(tensors.map(([name, output]) => [name, Array.from(output.data)]));
}

function shape(rows) {
  return Array.isArray(rows) ? [rows.length, ...shape(rows[0])] : [];
}
