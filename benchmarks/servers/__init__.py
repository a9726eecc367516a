"""The servers under test: ours, and the peers it stands beside."""
