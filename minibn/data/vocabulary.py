"""The alphabet of a text: characters to small integers and back."""

from dataclasses import dataclass

import numpy as np

MOST_SYMBOLS = 256  # a code is one byte


@dataclass(frozen=True)
class Vocabulary:
    """The characters of a text, each with a code: its place in ``symbols``.

    Attributes
    ----------
    symbols : str
        2 to 256 different characters.
    """

    symbols: str

    def __post_init__(self):
        symbols = self.symbols
        if not isinstance(symbols, str):
            raise TypeError(f"symbols must be a str of different characters, got {type(symbols).__name__}")
        if not 2 <= len(symbols) <= MOST_SYMBOLS:
            raise ValueError(
                f"symbols must be 2 to {MOST_SYMBOLS} different characters, got {len(symbols)}; "
                "a code is one byte, and one symbol alone leaves nothing to predict"
            )
        repeated = [symbol for place, symbol in enumerate(symbols) if symbol in symbols[:place]]
        if repeated:
            raise ValueError(
                f"symbols must be different characters, got {repeated[0]!r} more than once; "
                "those of a text are ''.join(sorted(set(text)))"
            )

    def __len__(self):
        return len(self.symbols)

    def encode(self, text):
        """The code of every character.

        Parameters
        ----------
        text : str, or bytes of ASCII

        Returns
        -------
        ndarray of uint8, shape (len(text),), read-only

        Raises
        ------
        ValueError
            If a character is not in the vocabulary.
        """
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"text must be str, or bytes of ASCII, got {type(text).__name__}")
        if isinstance(text, str) and not text.isascii():
            return self._encode_unicode(text)
        raw = text if isinstance(text, bytes) else text.encode("ascii")
        # Whole-text operations of bytes: a hundred million characters take a fraction of a second.
        known = "".join(symbol for symbol in self.symbols if symbol.isascii())
        unknown = raw.translate(None, delete=known.encode("ascii"))
        if unknown:
            self._refuse(chr(unknown[0]), raw.index(unknown[:1]))
        codes = bytes(self.symbols.index(symbol) for symbol in known)
        return np.frombuffer(raw.translate(bytes.maketrans(known.encode("ascii"), codes)), np.uint8)

    def _encode_unicode(self, text):
        points, symbols = _code_points(text), _code_points(self.symbols)
        order = np.argsort(symbols)
        places = np.searchsorted(symbols, points, sorter=order).clip(max=len(symbols) - 1)
        codes = order[places].astype(np.uint8)
        wrong = symbols[codes] != points
        if wrong.any():
            place = int(wrong.argmax())
            self._refuse(text[place], place)
        codes.flags.writeable = False
        return codes

    def _refuse(self, character, place):
        raise ValueError(
            f"text must hold only the {len(self)} symbols {self.symbols!r}, found {character!r} at position {place}; "
            "take it out, or use the vocabulary of this text"
        )

    def decode(self, codes):
        """The text of these codes.

        Parameters
        ----------
        codes : array of an integer type, shape (n,)

        Returns
        -------
        str
        """
        codes = np.asarray(codes)
        if codes.ndim != 1 or not (np.issubdtype(codes.dtype, np.integer) or not codes.size):
            raise ValueError(f"codes must be integers of shape (n,), got {codes.dtype} of shape {codes.shape}")
        if not codes.size:
            return ""
        if codes.min() < 0 or codes.max() >= len(self):
            found = f"{codes.min()}..{codes.max()}"
            raise ValueError(f"codes must lie in 0..{len(self) - 1}, found {found}; is this the text's vocabulary?")
        if self.symbols.isascii():
            table = self.symbols.encode("ascii").ljust(256)  # translate wants an entry for every byte
            return codes.astype(np.uint8).tobytes().translate(table).decode("ascii")
        return _code_points(self.symbols)[codes].tobytes().decode("utf-32-le")


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
