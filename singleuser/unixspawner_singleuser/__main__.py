"""`python -I -m unixspawner_singleuser --fd 3`, as the mediator starts it.

Run as the person signed in. This file is only about being quick at both ends.
"""

import gc

# Importing makes many objects and little garbage; looking for it takes a tenth of the start. The
# application does it once, and switches it on again, when the start is over.
gc.disable()

import logging  # noqa: E402
import os  # noqa: E402

from pydantic import BaseModel, ConfigDict  # noqa: E402

# FastAPI's import builds a schema for each of its models of OpenAPI, which nothing here serves. Now
# each is built when it is used.
BaseModel.model_config = ConfigDict(defer_build=True)

from .command import main  # noqa: E402

if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Nothing is left to do, and taking hundreds of modules apart would be half of a stop's time.
    os._exit(status)
