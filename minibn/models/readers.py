"""The systems that Section 5.4 of the paper compares, and the control that it lacks."""

from dataclasses import dataclass

from minibn.cells import bn_lstm, lstm


@dataclass(frozen=True)
class Reader:
    """What makes one of them: its encoders, and what in it is normalized."""

    name: str
    title: str
    cell: object                # the declaration of all its encoders
    options: dict               # of these cells
    normalized: bool            # whether the attention and answer terms are, each by its own batch norm
    both_directions: bool


OFFSET = {"cell_offset": True}                  # the trainable one of the authors' baseline
STEP, SEQUENCE = {"input_statistics": "step"}, {"input_statistics": "sequence"}

READERS = {reader.name: reader for reader in (
    Reader("lstm", "LSTM", lstm.CELL, OFFSET, normalized=False, both_directions=False),
    Reader("bnlstm", "BN-LSTM", bn_lstm.CELL, STEP, normalized=False, both_directions=False),
    Reader("bn_everywhere", "BN-everywhere", bn_lstm.CELL, STEP, normalized=True, both_directions=False),
    Reader("bn_e1", "BN-e*", bn_lstm.CELL, SEQUENCE, normalized=True, both_directions=False),
    Reader("bn_e2", "BN-e**", bn_lstm.CELL, SEQUENCE, normalized=True, both_directions=True),
    Reader("bilstm", "bi-LSTM, no BN", lstm.CELL, OFFSET, normalized=False, both_directions=True),
)}
"""Name -> `Reader`. The last one is the control: what the second direction does without batch norm."""
