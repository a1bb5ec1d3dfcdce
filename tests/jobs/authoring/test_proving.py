"""What `score prove` says of a job whose table does not say when its rows became known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.jobs.authoring.conftest import NIGHT

if TYPE_CHECKING:
    from tests.jobs.authoring.conftest import Shop


def test_a_table_without_a_known_time_is_proven_by_events_alone(project: Shop) -> None:
    """Nothing can become known later where nothing says when; the job can still be promoted after its proofs."""
    options = ("--table", "orders", "--entity", "customer_id", "--event-time", "ordered_at", "--known-time", "none")
    assert project.run("new", "timeless", *options, "--predict", "any", "--horizon-days", "7").code == 0
    assert project.run("train", "timeless", "--as-of", NIGHT).code == 0

    done = project.run(
        "prove", "timeless", "--as-of", NIGHT, "--only", "future_knowledge", "--only", "future_events", "--json"
    )

    said = {each["name"]: each for each in done.json["proofs"]}
    assert done.code == 0
    assert "no table says when its rows became known" in said["future_knowledge"]["detail"]
    assert "poisoned tables" in said["future_events"]["detail"]
