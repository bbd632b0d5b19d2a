"""The compiled kernels, which setup.cfg cannot declare.

Each is optional: without a C compiler the package is installed all the same, and NumPy computes
what they do.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = "ner_lstm_component/kernels"

setup(
    ext_modules=[
        Extension(
            f"{KERNELS}/{source.stem}".replace("/", "."),
            [f"{KERNELS}/{source.name}"],
            depends=sorted(map(str, Path(KERNELS).glob("*.h"))),
            # Floating-point exceptions and errno would prevent vectorization.
            extra_compile_args=["-O3", "-fno-trapping-math", "-fno-math-errno", "-fopenmp-simd"],
            optional=True,
        )
        for source in sorted(Path(KERNELS).glob("*.pyx"))
    ]
)
