"""Kayenta's judge and Kayenta's formats: profile `kayenta`, and the way in and out for both profiles."""
