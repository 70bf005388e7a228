"""The marginal likelihood of a Gaussian process by a Cholesky factor, and the kernel that maximises it."""

import numpy as np

# ---- the model: plain NumPy


def kernel(x1, x2, scale, length):
    """Squared-exponential covariance between points on a line."""
    return scale**2 * np.exp(-0.5 * (x1[:, None] - x2[None, :]) ** 2 / length**2)


def negative_log_marginal_likelihood(log_parameters, x, y):
    """Misfit by the logarithms of scale, length and noise (Rasmussen and Williams 2006, algorithm 2.1)."""
    scale, length, noise = np.exp(log_parameters)
    K = kernel(x, x, scale, length) + noise**2 * np.eye(len(x))
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return 0.5 * y @ alpha + np.log(np.diag(L)).sum() + 0.5 * len(x) * np.log(2 * np.pi)


def predict(log_parameters, x, y, new):
    """Mean of the process at new points, given what was observed."""
    scale, length, noise = np.exp(log_parameters)
    K = kernel(x, x, scale, length) + noise**2 * np.eye(len(x))
    return kernel(new, x, scale, length) @ np.linalg.solve(K, y)


def make_data(seed=0, size=40, noise=0.1):
    """A sine with noise, at random places."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 6, size))
    return x, np.sin(x) + noise * rng.normal(size=size)


# ---- what tapeflow adds


def main():
    """Fit the kernel by its exact gradient, and differentiate the prediction."""
    from differences import central_differences
    from scipy.optimize import minimize

    from tapeflow import grad, value_and_grad

    data, start = make_data(), np.log([1.0, 0.3, 0.3])
    gradient, quotients = (
        grad(negative_log_marginal_likelihood)(start, *data),
        central_differences(negative_log_marginal_likelihood, start, *data),
    )
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5)
    fit = minimize(value_and_grad(negative_log_marginal_likelihood), start, data, jac=True, method="BFGS")
    places = np.linspace(1, 5, 5)
    slopes = grad(lambda new: predict(fit.x, *data, new).sum())(places)
    print(f"gradient at the start {gradient.round(4)}, by differences {quotients.round(4)}")
    print(f"{fit.nit} steps: scale, length, noise {np.exp(fit.x).round(3)} (made with noise 0.1)")
    print(f"slopes of the mean at {places}: {slopes.round(2)}; of the sine: {np.cos(places).round(2)}")
    return fit.x, slopes


if __name__ == "__main__":
    main()
