"""The labeller `embeddings`: what a system prompt is for, by the labelled examples that lie nearest to it.

It is written as a plugin would be: it uses what `taskrouter.ports`, `taskrouter.config`, `taskrouter.errors` and
`taskrouter.profile` offer, and comes in through a hook. docs/plugins.md goes through it line by line.
"""
