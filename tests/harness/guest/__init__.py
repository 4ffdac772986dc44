"""The tests' guest: the product's tiny image with an agent added, and the driver that speaks to it."""
