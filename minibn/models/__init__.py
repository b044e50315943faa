"""What a task trains: a cell and what it needs around it."""

from minibn.models.language_model import LanguageModel
from minibn.models.sequence_classifier import SequenceClassifier

__all__ = ["LanguageModel", "SequenceClassifier"]
