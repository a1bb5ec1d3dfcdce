"""Writing a job from a look at the warehouse, and saying all that is wrong with one before it runs."""
