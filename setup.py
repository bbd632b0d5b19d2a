"""What setup.cfg cannot say: the inner loops are compiled, where there is a compiler.

Without one the package installs all the same, and computes them by NumPy.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "ner_lstm_component.kernels.compiled",
            ["ner_lstm_component/kernels/compiled.pyx"],
            depends=["ner_lstm_component/kernels/wide.h"],
            # Comparisons and roots of floats keep no loop from being vectorized.
            extra_compile_args=["-O3", "-fno-trapping-math", "-fno-math-errno"],
            optional=True,
        )
    ]
)
