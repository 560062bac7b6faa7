"""The tests of Perennial, each folder a family."""
