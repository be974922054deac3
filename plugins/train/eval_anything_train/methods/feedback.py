"""The feedback model: shown a prompt and a response to it, it writes a critique and a refinement."""

from __future__ import annotations

from eval_anything.values import Text
from eval_anything_train.encode import Encoded, check_answer
from eval_anything_train.feedback import question
from eval_anything_train.methods.sft import Imitation
from eval_anything_train.values import Answer, Critiqued


class FeedbackModel(Imitation[Critiqued]):
    """Align Anything, section 3.2: cross-entropy on the feedback alone; what is criticised is the prompt."""

    name = "feedback"
    takes = Critiqued

    def check(self, record: Critiqued) -> None:
        self.policy.encoder.check(question(record.messages, record.answer), record.id)
        check_answer(_feedback(record), record.id, "feedback")

    def encode(self, record: Critiqued) -> Encoded:
        self.policy.encoder.check(record.messages, record.id)
        prompt = self.policy.encoder.prompt(question(record.messages, record.answer), record.id)
        return self.policy.encoder.answered(prompt, _feedback(record), "feedback")


def _feedback(record: Critiqued) -> Answer:
    return (Text(record.feedback.text),)
