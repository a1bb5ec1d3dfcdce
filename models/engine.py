"""Which engine turns features into raw scores: part of every environment, because it decides the order of additions."""

ENGINE = "lightgbm predict"
