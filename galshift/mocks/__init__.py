"""Observe idealised galaxies as a survey would: one file per physical effect, chained by ``observe``.

======================  ===============================================================
``observe``             the chain: what :func:`observe` does to a set of cut-outs
``bands``, ``units``    which band becomes which, and nJy per pixel
``psf``, ``resample``   transfer functions, and PSF + pixel + resampling in one step
``optics``              which PSF each image has, in batches
``noise``, ``depth``    photons and detector, and what a limiting magnitude means
``pairs``               two surveys that share their photons
``on_the_fly``          an observation as an augmentation inside training
``selftest``            what a preset's mocks measure, beside what the survey publishes
======================  ===============================================================
"""
