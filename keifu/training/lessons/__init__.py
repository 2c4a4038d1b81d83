"""What a run teaches, and how it examines: all that differs from task to task.

A lesson is made of the settings, the corpus and the tokenizer. It has the task, the encoded examples, a sampler of
them, and evaluates a learner on the validation data.
"""

from collections.abc import Callable
from typing import Any

from keifu.training.lessons.answering import AnsweringLesson
from keifu.training.lessons.language import LanguageLesson
from keifu.training.lessons.lesson import Lesson
from keifu.training.lessons.pictures import PictureLesson
from keifu.training.lessons.reading import DecisionLesson, MaskedLesson
from keifu.training.lessons.translation import TranslationLesson
from keifu.training.settings import Settings

__all__ = ["LESSONS", "Lesson"]

LESSONS: dict[str, Callable[[Settings, Any, Any], Lesson]] = {
    "translation": TranslationLesson,
    "language-modeling": LanguageLesson,
    "masked-lm": MaskedLesson,
    "classification": DecisionLesson,
    "tagging": DecisionLesson,
    "question-answering": AnsweringLesson,
    "image-classification": PictureLesson,
}
