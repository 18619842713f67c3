"""Ways to have a language model rank candidates, one file a way."""
