"""A course's worth of student code: right programs in other styles than the library's, and slips in them.

Each file is what a student would hand in. The functions were written from the paper's equations.
"""
