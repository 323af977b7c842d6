"""The evidence log: batches judged and kept, the tree, checkpoints, exports (DESIGN §7)."""
