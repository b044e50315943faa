"""What a task trains: a cell and what it needs around it."""

from minibn.models.attentive_reader import AttentiveReader
from minibn.models.language_model import LanguageModel
from minibn.models.questions import Questions
from minibn.models.readers import READERS
from minibn.models.sequence_classifier import SequenceClassifier

__all__ = ["READERS", "AttentiveReader", "LanguageModel", "Questions", "SequenceClassifier"]
