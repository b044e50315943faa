"""How data files get here: from the first mirror that sends the right one, within limits of size and time."""

import os
import time

from minibn.data.files import ENVIRONMENT_VARIABLE, DataError, sweep

READ_SECONDS = 30  # without a byte
TOTAL_SECONDS = 1800  # for one file from one mirror
_CHUNK = 1 << 16


class _Failed(OSError):
    """Why a mirror's file was not taken, in words."""


def download(file, target, mirrors, remedy):
    """Fetch ``file`` to the path ``target``, trying each address of ``mirrors`` once, in order.

    pooch writes to a temporary file, checks the checksum, and only then moves the file to its place: an
    existing file is replaced by the right one or left as it is.

    Raises
    ------
    DataError
        If the folder cannot be written, or if no mirror gave the right file.
    """
    import pooch

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
    except OSError as error:
        raise DataError(
            f"{target.parent}: cannot be made ({error.strerror or error}); "
            f"set {ENVIRONMENT_VARIABLE} to a folder that can be written"
        ) from None
    # pooch announces every attempt on stderr; what fails is told once, in one line, at the end.
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    failures = []
    try:
        for mirror in mirrors:
            try:
                pooch.retrieve(
                    mirror + file.name,
                    known_hash=":".join(file.checksum),
                    fname=target.name,
                    path=target.parent,
                    downloader=lambda url, place, _: _fetch(url, place, file.size),
                )
                return
            except (OSError, ValueError) as error:  # errors of requests are OSErrors, a wrong hash a ValueError
                failures.append(f"{mirror}: {_reason(error, file)}")
    finally:
        logger.setLevel(level)
    raise DataError(
        f"{file.name} could not be downloaded to {target.parent} ({'; '.join(failures)}); "
        f"with a network {remedy}"
    )


def _fetch(url, place, size):
    """Write what the address sends to the file ``place``: exactly ``size`` bytes, or an error."""
    import requests
    import urllib3
    from tqdm import tqdm

    end = time.monotonic() + TOTAL_SECONDS
    os.unlink(place)  # pooch made it for its owner alone; made here it obeys the umask
    with (
        requests.get(url, stream=True, timeout=READ_SECONDS, headers={"Accept-Encoding": "identity"}) as response,
        open(place, "xb") as file,
        tqdm(total=size, unit="B", unit_scale=True, leave=True) as bar,
    ):
        response.raise_for_status()
        announced = int(response.headers.get("Content-Length", size))
        if announced != size:
            raise _Failed(f"offers {announced} bytes, the right file has {size}")
        # One read of the socket at a time: `read` waits for a whole chunk, byte by byte for ever.
        read, got = getattr(response.raw, "read1", response.raw.read), 0
        try:
            while chunk := read(_CHUNK):
                got += len(chunk)
                if got > size:
                    raise _Failed(f"sent more than the {size} bytes of the file")
                if time.monotonic() > end:
                    raise _Failed(f"sent {got} of {size} bytes in {TOTAL_SECONDS} seconds, too slow")
                file.write(chunk)
                bar.update(len(chunk))
        except urllib3.exceptions.ReadTimeoutError:
            raise _Failed(f"sent nothing for {READ_SECONDS} seconds, after {got} of {size} bytes") from None
        except (urllib3.exceptions.HTTPError, ConnectionError):
            got = min(got, size - 1)
        if got < size:
            raise _Failed(f"closed the connection after {got} of {size} bytes")


def _reason(error, file):
    import requests
    import urllib3

    if isinstance(error, _Failed):
        return str(error)
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return f"sent a file with another {file.checksum_name}"
    if getattr(error, "response", None) is not None:
        return f"answered HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"did not answer within {READ_SECONDS} seconds"
    if isinstance(error, requests.ConnectionError):
        cause = error.args[0] if error.args else None
        closed = isinstance(cause, urllib3.exceptions.ProtocolError)
        return "closed the connection without an answer" if closed else "could not be reached"
    return getattr(error, "strerror", None) or type(error).__name__
