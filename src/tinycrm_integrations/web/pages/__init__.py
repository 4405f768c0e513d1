"""The pages of the admin, one module each: a visit in, a view or an answer out."""
