"""Burgers' equation by finite volumes, stepped in place, and the initial state that leads to an observed one."""

import numpy as np

# ---- the model: plain NumPy


def fluxes(u):
    """Rusanov's flux of u**2 / 2 through the faces between neighbouring cells."""
    left, right = u[:-1], u[1:]
    speed = np.maximum(np.abs(left), np.abs(right))
    return 0.25 * (left**2 + right**2) - 0.5 * speed * (right - left)


def step(u, dt, dx):
    """Advance the cell averages in place; the first and last cell are ghosts that make the domain periodic."""
    u[0], u[-1] = u[-2], u[1]
    f = fluxes(u)
    u[1:-1] -= dt / dx * (f[1:] - f[:-1])


def simulate(u, steps, dt, dx):
    """Cell averages after a number of steps."""
    cells = np.concatenate([u[:1], u, u[:1]])
    for _ in range(steps):
        step(cells, dt, dx)
    return cells[1:-1].copy()


CELLS, STEPS, DT = 40, 30, 0.01
DX = 1 / CELLS
CENTRES = (np.arange(CELLS) + 0.5) * DX


def initial_state(wave):
    """A wave with a mean, an amplitude and a phase."""
    mean, amplitude, phase = wave
    return mean + amplitude * np.sin(2 * np.pi * CENTRES + phase)


def misfit(wave, observed):
    """How far the state that a wave leads to is from an observed one."""
    return np.sum((simulate(initial_state(wave), STEPS, DT, DX) - observed) ** 2)


def make_data(seed=0, wave=(0.6, 0.4, 0.3), noise=0.005):
    """The state to which a wave leads, with noise."""
    rng = np.random.default_rng(seed)
    return simulate(initial_state(np.array(wave)), STEPS, DT, DX) + noise * rng.normal(size=CELLS)


# ---- what tapeflow adds


def main():
    """Find the wave by the exact gradient through all steps."""
    from differences import central_differences
    from scipy.optimize import minimize

    from tapeflow import grad, value_and_grad

    observed, start = make_data(), np.array([0.5, 0.2, 0.0])
    gradient, quotients = grad(misfit)(start, observed), central_differences(misfit, start, observed)
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5)
    fit = minimize(value_and_grad(misfit), start, observed, jac=True, method="BFGS")
    mean, amplitude, phase = fit.x
    print(f"gradient at the start {gradient.round(4)}, by differences {quotients.round(4)}")
    print(f"{fit.nit} steps: mean {mean:.3f}, amplitude {amplitude:.3f}, phase {phase:.3f} (made with 0.6, 0.4, 0.3)")
    return fit.x


if __name__ == "__main__":
    main()
