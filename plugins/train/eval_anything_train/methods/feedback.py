"""The feedback model: shown a prompt and a response to it, it writes a critique and a refinement."""

from __future__ import annotations

from eval_anything.values import Message, Text
from eval_anything_train.encode import Encoded
from eval_anything_train.feedback import question
from eval_anything_train.methods.sft import Imitation
from eval_anything_train.values import Answer, Critiqued


class FeedbackModel(Imitation[Critiqued]):
    """Align Anything, section 3.2: cross-entropy on the feedback alone; what is criticised is the prompt."""

    name = "feedback"
    takes = Critiqued

    def check(self, record: Critiqued) -> None:
        self._asked(record)
        self.policy.encoder.check_answer(_feedback(record), record.id, "feedback")

    def encode(self, record: Critiqued) -> Encoded:
        answers = {"feedback": _feedback(record)}
        return self.policy.encoder.conversations(self._asked(record), answers, record.id)[0]

    def _asked(self, record: Critiqued) -> tuple[Message, ...]:
        super().check(record)
        asked = question(record.messages, record.answer)
        self.policy.encoder.check(asked, record.id)  # the response may hold media, too
        return asked


def _feedback(record: Critiqued) -> Answer:
    return (Text(record.feedback.text),)
