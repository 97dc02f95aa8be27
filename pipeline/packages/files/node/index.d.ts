import type { InferenceSession } from "onnxruntime-node";

/** An input that the model cannot take: it is too long, or a part of it is missing. */
export class InputError extends Error {}

/** A label with its score. */
export interface LabelScore {
  label: string;
  /** Its probability, from 0 to 1; for regression, the model's raw output. */
  score: number;
}

/** All labels of a text, best first. */
export interface Classification {
  labels: LabelScore[];
}

/** A stretch of a text with a label; `text.slice(start, end)` is the stretch. */
export interface Entity {
  label: string;
  /** The mean probability of its tokens, from 0 to 1. */
  score: number;
  text: string;
  /** The stretch as the tokenizer spells it. */
  word: string;
  start: number;
  end: number;
}

/** A stretch of a context that may answer a question; `context.slice(start, end)` is the stretch. */
export interface Answer {
  text: string;
  score: number;
  start: number;
  end: number;
}

/** The best answer to a question; empty if the context does not have any tokens. */
export interface Answers {
  candidates: Answer[];
}

/** A token that may fill a mask. */
export interface Fill {
  /** The token's id. */
  token: number;
  text: string;
  /** Its probability, from 0 to 1. */
  score: number;
  /** The whole text with the token filled in. */
  sequence: string;
}

/** The five most probable tokens for one mask, best first; `text.slice(start, end)` is the mask. */
export interface FilledMask {
  start: number;
  end: number;
  fills: Fill[];
}

/** The option that fits a context best. */
export interface ChosenOption {
  /** Its index among the options. */
  index: number;
  text: string;
  /** The probability of each option. */
  scores: number[];
}

/** What the model answers. */
export type Input = INPUT_TYPE;

/** Its answer. */
export type Output = OUTPUT_TYPE;

/** A model that is loaded. */
export interface Model {
  answer(input: Input): Promise<Output>;
  /** Free the memory of the session. */
  close(): Promise<void>;
}

/** Load the model; the options are those of ONNX Runtime. */
export function open(options?: InferenceSession.SessionOptions): Promise<Model>;

/** The answer to one input; the first call loads the model, and the next one tries again if that failed. */
export default function answer(input: Input): Promise<Output>;
