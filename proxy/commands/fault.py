"""Reports an error that we did not foresee, in one sentence. It never holds the error's own text, because
that may repeat a secret."""

import logging
import os
import sys
import traceback
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def tell(error: BaseException) -> None:
    """Report the error as our fault, with its place. At log level debug add the traceback's source lines."""
    if os.environ.get("CAMUNDA_AUTH_PROXY_LOG_LEVEL") == "debug":
        wanted = True
    else:
        wanted = logging.getLogger().level == logging.DEBUG
    sentence, frames = sentence_and_frames(error)
    log = logging.getLogger("proxy")
    if logging.getLogger().handlers:  # `run` has set up its log
        log.critical(sentence, extra={"traceback": frames} if wanted else {})
    elif sys.stderr is not None:
        print(f"{sentence}\n{frames}" if wanted else sentence, file=sys.stderr)  # noqa: T201


def sentence_and_frames(error: BaseException) -> tuple[str, str]:
    """Return the sentence, and the traceback without any values."""
    frames = [*traceback.extract_tb(error.__traceback__)]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        frames += traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    place = ""
    if ours:
        file = Path(ours[-1].filename).relative_to(PACKAGE.parent).as_posix()
        place = f" at {file}:{ours[-1].lineno}, in {ours[-1].name}"
    what = f"{type(error).__name__}{place}"
    sentence = (
        f"This is a fault of camunda-auth-proxy itself ({what}). Please report it with this line; "
        "CAMUNDA_AUTH_PROXY_LOG_LEVEL=debug shows the traceback."
    )
    return sentence, "".join(traceback.format_list(frames))
