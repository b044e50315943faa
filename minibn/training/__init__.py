"""Training: the loop, validation, population statistics, checkpoints, metrics.

config = minibn.training.make_config("quick", task="pmnist", model="bnlstm")
final = minibn.training.train(config, "runs/first")         # resume=True continues after any kill
model, statistics = minibn.training.load("runs/first")
minibn.training.read_metrics("runs/first/metrics.jsonl")    # a list of dicts
"""

from minibn.training.config import TrainConfig
from minibn.training.display import Interrupted
from minibn.training.evaluation import evaluate_run, evaluate_whole_text
from minibn.training.loop import train
from minibn.training.metrics import read_metrics, without_clock
from minibn.training.resuming import resumed_config
from minibn.training.runs import TrainedModel, load, read_config
from minibn.training.sampling import sample_text
from minibn.training.tasks import TASKS, make_config
from minibn.training.validation import Score, estimate_statistics, score

__all__ = ["TASKS", "Interrupted", "Score", "TrainConfig", "TrainedModel", "estimate_statistics", "evaluate_run",
           "evaluate_whole_text", "load", "make_config", "read_config", "read_metrics", "resumed_config", "sample_text",
           "score", "train", "without_clock"]
