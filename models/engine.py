"""How features become raw scores: part of every environment, because it decides the order of additions.

The kernel (`models.kernel`) adds in the same order and gives the same bits, which is proven before it counts; so this
names the arithmetic, not who carries it out. Which engine scored a run is in its execution record, as `scored_by`.
"""

ENGINE = "lightgbm predict"
