"""Dense features of pictures: the grid they lie on, the picture a backbone is shown, the files they are kept in."""
