"""Dead letters of events: groups, lists, and operations that reprocess, discard and restore them."""
