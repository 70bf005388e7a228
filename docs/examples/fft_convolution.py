"""A detector that blurs pulses, modelled by an FFT convolution, and the response that explains what it measured."""

import numpy as np

# ---- the model: plain NumPy


def convolve(signal, response):
    """Causal part of the linear convolution, by Fourier transforms padded so that nothing wraps around."""
    n = len(signal) + len(response) - 1
    spectrum = np.fft.rfft(signal, n) * np.fft.rfft(response, n)
    return np.fft.irfft(spectrum, n)[: len(signal)]


def response(parameters, length):
    """A rise and a decay, in samples, times a gain."""
    log_gain, log_rise, log_decay = parameters
    t = np.arange(length)
    return np.exp(log_gain) * (1 - np.exp(-t / np.exp(log_rise))) * np.exp(-t / np.exp(log_decay))


def misfit(parameters, signal, measured):
    """Sum of squared residuals."""
    return np.sum((convolve(signal, response(parameters, 64)) - measured) ** 2)


def make_data(seed=0, size=200, pulses=12, noise=0.02):
    """Random pulses, and what a detector of gain 0.5, rise 2 and decay 10 makes of them."""
    rng = np.random.default_rng(seed)
    signal = np.zeros(size)
    signal[rng.integers(0, size, pulses)] += rng.uniform(0.5, 2.0, pulses)
    return signal, convolve(signal, response(np.log([0.5, 2.0, 10.0]), 64)) + noise * rng.normal(size=size)


# ---- what tapeflow adds


def main():
    """Fit gain, rise and decay by the exact gradient through both transforms."""
    from differences import central_differences
    from scipy.optimize import minimize

    from tapeflow import grad, value_and_grad

    data, start = make_data(), np.log([1.0, 1.0, 5.0])
    gradient, quotients = grad(misfit)(start, *data), central_differences(misfit, start, *data)
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5)
    fit = minimize(value_and_grad(misfit), start, data, jac=True, method="BFGS")
    print(f"gradient at the start {gradient.round(4)}, by differences {quotients.round(4)}")
    print(f"{fit.nit} steps: gain, rise, decay {np.exp(fit.x).round(2)} (made with 0.5, 2, 10)")
    return fit.x


if __name__ == "__main__":
    main()
