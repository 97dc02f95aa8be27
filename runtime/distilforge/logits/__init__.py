"""From logits to answers: scored spans of tokens (`answer_spans`)."""
