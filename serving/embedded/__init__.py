"""The embedded model server: one pretrained model on loopback, read by transformers' own modules.

app         the HTTP routes, over protocol's request shapes
engine      one thread that does all computing
scoring     log-probabilities of given texts
generation  batched sampling
reranking   in-context re-ranking by the attention of retrieval heads
prefixes    keys and values of prompts' beginnings, kept
attention   what a packed row of tokens attends to
weights     model, tokenizer, precision
"""
