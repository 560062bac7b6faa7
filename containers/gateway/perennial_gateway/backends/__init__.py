"""What holds the versions of the models: each kind of backend behind one small contract."""
