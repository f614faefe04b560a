"""One feature vector per frame from a spatial and a flow stream."""
