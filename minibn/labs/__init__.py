"""Labs: functions to write, a grader that names the mistake, hand-outs made from the library's own source.

``minibn lab`` on the command line; in a notebook, ``minibn.labs.use("lab2.py")`` puts your functions to work.
"""

from minibn.labs.catalogue import LABS
from minibn.labs.classroom import grade_class
from minibn.labs.export import export
from minibn.labs.make import make_lab
from minibn.labs.place import use
from minibn.labs.student import check

__all__ = ["LABS", "check", "export", "grade_class", "make_lab", "use"]
