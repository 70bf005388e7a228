"""A Kalman filter that fills its arrays in place, and the noise levels that make its data most likely."""

import numpy as np

# ---- the model: plain NumPy


def kalman_filter(observed, transition, observation, process_noise, observation_noise, mean, covariance):
    """Filtered means and covariances of a linear Gaussian model, and the log-likelihood of what was observed.

    The first step updates the given mean and covariance; each later one predicts first.
    """
    steps, size = len(observed), len(mean)
    x = np.zeros_like(process_noise, shape=(steps, size))
    P = np.zeros_like(process_noise, shape=(steps, size, size))
    x[0], P[0] = mean, covariance
    log_likelihood = 0.0
    for t in range(steps):
        if t > 0:
            x[t] = transition @ x[t - 1]
            P[t] = transition @ P[t - 1] @ transition.T
            P[t] += process_noise
        innovation = observed[t] - observation @ x[t]
        S = observation @ P[t] @ observation.T + observation_noise
        gain = np.linalg.solve(S, observation @ P[t]).T
        x[t] += gain @ innovation
        P[t] -= gain @ S @ gain.T
        distance = innovation @ np.linalg.solve(S, innovation)
        log_likelihood -= 0.5 * (distance + np.linalg.slogdet(2 * np.pi * S)[1])
    return x, P, log_likelihood


TRANSITION = np.array([[1.0, 0.1], [0.0, 1.0]])  # position and velocity, a tenth of a second later
OBSERVATION = np.array([[1.0, 0.0]])  # the position is seen
PUSH = np.array([[0.0025, 0.05], [0.05, 1.0]])  # covariance of a random push, times its strength


def negative_log_likelihood(log_noise, observed):
    """Misfit of a track, by the logarithms of the strengths of push and observation noise."""
    push, blur = np.exp(log_noise)
    noise = push * PUSH + 1e-6 * np.eye(2)
    start = np.zeros(2), np.eye(2)
    return -kalman_filter(observed, TRANSITION, OBSERVATION, noise, blur * np.eye(1), *start)[2]


def make_data(seed=0, steps=150, push=0.05, blur=0.02):
    """A track with random pushes, and its blurred positions."""
    rng = np.random.default_rng(seed)
    state, track = np.zeros(2), []
    for _ in range(steps):
        track.append(state[0])
        state = TRANSITION @ state + np.sqrt(push) * rng.normal() * np.array([0.05, 1.0])
    return (np.array(track) + np.sqrt(blur) * rng.normal(size=steps))[:, None]


# ---- what tapeflow adds


def main():
    """Fit both noise levels by their exact gradient."""
    from differences import central_differences
    from scipy.optimize import minimize

    from tapeflow import grad, value_and_grad

    observed, start = make_data(), np.log([1.0, 1.0])
    gradient, quotients = (
        grad(negative_log_likelihood)(start, observed),
        central_differences(negative_log_likelihood, start, observed),
    )
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5)
    fit = minimize(value_and_grad(negative_log_likelihood), start, observed, jac=True, method="BFGS")
    push, blur = np.exp(fit.x)
    print(f"gradient at the start {gradient.round(4)}, by differences {quotients.round(4)}")
    print(f"{fit.nit} steps: strengths of push and blur {push:.3f} and {blur:.3f} (made with 0.05 and 0.02)")
    return fit.x


if __name__ == "__main__":
    main()
