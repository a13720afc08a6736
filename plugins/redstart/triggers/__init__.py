"""What waits in the triggerer: absolute moments and polls, never work."""
