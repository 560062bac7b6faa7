"""May the labels of a new batch be trained on?"""
