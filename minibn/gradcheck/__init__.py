"""Are these gradients right? Complex step, central differences, element by element or along a direction.

Three entries: `check_gradients` for a layer or model, `check_function` for any pair of forward and backward,
`check_gradient_values` for gradients that are already there. All return a `Report` to print.
"""

from minibn.gradcheck.functions import check_function, check_gradient_values, numerical_gradient
from minibn.gradcheck.layers import check_gradients
from minibn.gradcheck.measure import error_scale, gradient_error
from minibn.gradcheck.report import Entry, Report
from minibn.gradcheck.standard import gradcheck_table, run_standard_checks

__all__ = [
    "Entry", "Report", "check_function", "check_gradient_values", "check_gradients", "error_scale",
    "gradcheck_table", "gradient_error", "numerical_gradient", "run_standard_checks",
]
