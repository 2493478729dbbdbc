"""Who calls a command: the program, or another one."""

import os
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Program:
    """The program ``wsi``, as opposed to a command that another program calls.

    Attributes:
        process: Its number.
    """

    process: int = field(default_factory=os.getpid)
