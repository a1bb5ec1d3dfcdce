"""The columns of the generated nights: what they are ordered by, and the features in their declared order."""

ORDER = ("as_of", "carrier", "flight")
FEATURES = (
    "hour",
    "carrier_code",
    "origin_code",
    "late_share_28d",
    "flown_28d",
    "wind_mph",
    "is_weekend",
    "distance_mi",
)
