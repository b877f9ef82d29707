"""Built-in idealised galaxies, one file per class, so that everything runs with nothing downloaded."""

from galshift.registry import Registry

KINDS = Registry("galaxy class", "galshift.simulate", exclude=("generate", "shapes"))


def __getattr__(name: str) -> object:
    """Load :func:`~galshift.simulate.generate.simulate` when it is first asked for."""
    if name in ("simulate", "simulate_all"):
        from galshift.simulate import generate

        return getattr(generate, name)
    raise AttributeError(f"module 'galshift.simulate' has no attribute '{name}'")
