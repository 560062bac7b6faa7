"""Keep labelled requests out of training that look like no ordinary traffic, until a person decides."""
