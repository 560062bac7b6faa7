"""What is told of requests that are held at the door, and what a person decides on them."""
