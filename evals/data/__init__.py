"""From files to frozen bundles: readers, cleaning, candidates, export."""
