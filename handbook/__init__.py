"""The documents as a site, and the pages of it that are written by a program."""
