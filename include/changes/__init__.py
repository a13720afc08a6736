"""What changed, and what has to be told about it: texts for issues."""

from include.changes.merge_conflict import IssueText, MergeConflict, describe_merged, issue_of, label_of

__all__ = ["IssueText", "MergeConflict", "describe_merged", "issue_of", "label_of"]
