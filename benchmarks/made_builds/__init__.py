"""Builds of a model made from another one: defects that a comparison must find, and rebuilds that it must accept."""
