# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A step of the optimizer."""

from libc.math cimport sqrt

cdef extern from "optimizer.h" nogil:
    double squared_norm(const float *x, const float *weights, float l2, Py_ssize_t n)
    void adam_step(
        float *weights, const float *x, float *mom1, float *mom2, float *average, Py_ssize_t n,
        float scale, float l2, float b1, float b2, float eps, float rate, float decay, float step,
    )


def adam(
    float[::1] weights, const float[::1] gradient, float[::1] mom1, float[::1] mom2,
    float[::1] average, double b1, double b2, double eps, double rate, double l2, double decay,
    double clip, double step,
):
    """Update the weights of a variable, its moments and its average in place, like Thinc's Adam.

    The gradient becomes ``gradient + l2 * weights``, scaled down to the norm ``clip`` unless
    ``clip`` is 0. The weights lose a share ``decay``, and the average, which may be None, moves
    towards them by a share ``step``.

    :raises ValueError: if the arrays differ in size.
    """
    cdef Py_ssize_t n = weights.shape[0]
    sizes = [len(gradient), len(mom1), len(mom2), n if average is None else len(average)]
    if sizes != [n] * 4:
        raise ValueError(f"Arrays of {n} numbers are expected. Received: {sizes}")
    if n == 0:
        return
    cdef float *moving = NULL if average is None else &average[0]
    cdef double norm, scale = 1.0
    with nogil:
        if clip > 0.0:
            norm = sqrt(squared_norm(&gradient[0], &weights[0], l2, n))
            if norm >= clip:
                scale = clip / norm
        adam_step(
            &weights[0], &gradient[0], &mom1[0], &mom2[0], moving, n,
            scale, l2 * scale, b1, b2, eps, rate, decay, step,
        )
