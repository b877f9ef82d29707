"""A map of galaxies in a classifier's feature space, and what is odd or mixed there.

================  ==========================================================================================
reducers          one file each: pca, tsne, isomap, umap
anomaly           how unusual each galaxy is within its own data set
quality           whether the map can be trusted; whether two data sets mix in feature space
neighbors         the galaxies most like one galaxy
labelling         which galaxies to label next: clusters of uncertain ones, or random samples
strategies        the same by uncertainty, diversity, both or chance, each at its cost, within a budget
explorer          one self-contained page: scatter, thumbnails, colours, filters, lasso, export
================  ==========================================================================================
"""
