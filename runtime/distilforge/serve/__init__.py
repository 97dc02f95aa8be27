"""`distilforge serve`: a release as an HTTP service, in the shapes that people's clients have."""
