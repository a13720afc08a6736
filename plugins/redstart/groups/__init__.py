"""Wiring that is the same for every application: the form, the schedule, retries."""
