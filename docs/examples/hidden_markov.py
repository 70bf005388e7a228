"""The forward pass of a hidden Markov model in logarithms, and the model under which its data is most likely."""

import numpy as np

# ---- the model: plain NumPy


def logsumexp(a, axis):
    """Logarithm of a sum of exponentials, without overflow."""
    top = np.max(a, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(a - top), axis=axis))


def forward(log_start, log_transition, log_emission):
    """Log-likelihood of a sequence: sum over all paths, state by state."""
    alpha = log_start + log_emission[0]
    for emission in log_emission[1:]:
        alpha = logsumexp(alpha[:, None] + log_transition, axis=0) + emission
    return logsumexp(alpha, axis=0)


def unpack(parameters, states):
    """Log transition probabilities and the states' means from one vector of free numbers."""
    logits = parameters[: states**2].reshape(states, states)
    return logits - logsumexp(logits, axis=1)[:, None], parameters[states**2 :]


def negative_log_likelihood(parameters, observed, states=2):
    """Misfit of a sequence whose states emit normal numbers of unit variance."""
    log_transition, means = unpack(parameters, states)
    log_emission = -0.5 * (observed[:, None] - means) ** 2 - 0.5 * np.log(2 * np.pi)
    return -forward(np.full(states, -np.log(states)), log_transition, log_emission)


def make_data(seed=0, steps=300, stay=0.9, means=(-1.0, 2.0)):
    """A sequence from two states that rarely change."""
    rng = np.random.default_rng(seed)
    changes = rng.uniform(size=steps) > stay
    return np.array(means)[np.cumsum(changes) % 2] + rng.normal(size=steps)


# ---- what tapeflow adds


def main():
    """Fit transitions and means by the exact gradient."""
    from differences import central_differences
    from scipy.optimize import minimize

    from tapeflow import grad, value_and_grad

    observed, start = make_data(), np.array([1.0, 0.0, 0.0, 1.0, -0.5, 0.5])
    gradient, quotients = (
        grad(negative_log_likelihood)(start, observed),
        central_differences(negative_log_likelihood, start, observed),
    )
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5)
    fit = minimize(value_and_grad(negative_log_likelihood), start, observed, jac=True, method="L-BFGS-B")
    log_transition, means = unpack(fit.x, 2)
    stay = np.exp(np.diag(log_transition))
    print(f"gradient at the start {gradient.round(4)}, by differences {quotients.round(4)}")
    print(f"{fit.nit} steps: means {means.round(2)} (made with -1, 2), chances to stay {stay.round(2)} (made with 0.9)")
    return stay, means


if __name__ == "__main__":
    main()
