"""Maps as pictures: arrays and titles in, pixels out."""
