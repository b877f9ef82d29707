"""Observe idealised galaxies as a survey would: one file per physical effect, chained by ``observe``.

=====================================  ==================================================================
``observe``, ``look``, ``config``      the chain; what is seen without noise; every choice
``bands``, ``units``, ``redshift``     which light becomes which band, in nJy per pixel, and from how far
``psf``, ``wings``                     transfer functions of profiles; what must not wrap
``resample``, ``optics``               PSF, pixel and resampling in one step; which PSF each image has
``noise``, ``poisson``, ``depth``      photons and detector; what a limiting magnitude means
``correlation``, ``sky``               noise of coadds; residuals, and real blank sky
``artifacts``                          cosmic rays, bad columns, trails, bleeding, JPEG
``pairs``, ``on_the_fly``              two surveys that share photons; an observation as augmentation
``selftest``, ``contact_sheet``        what to measure and what to look at before trusting a mock
=====================================  ==================================================================
"""
