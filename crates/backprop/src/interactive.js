"use strict";
// The network of exercise 6 under the reader's hands. The numbers are computed by the lines that the derivation gave,
// and are compared with those of the Rust program in a real browser (crates/backprop/tests/browser.rs).
(() => {
  const sum = (list) => list.reduce((total, term) => total + term, 0);
  const dot = (row, by) => sum(row.map((w, j) => w * by[j]));

  /** Values and gradients, as matrices: `A[i][j]`; vectors are lists. */
  function compute({ A, B, x, y }) {
    const v = A.map((row) => Math.tanh(dot(row, x)));
    const z = B.map((row) => dot(row, v));
    const max = Math.max(...z);
    const logSum = Math.log(sum(z.map((z) => Math.exp(z - max))));
    const logP = z.map((z) => z - max - logSum);
    const p = logP.map(Math.exp);
    const L = -sum(y.map((y, i) => (y === 0 ? 0 : y * logP[i]))) / 2;
    const sumY = sum(y);
    const dp = y.map((y, i) => (y === 0 ? 0 : -y / (2 * p[i])));
    const dz = p.map((p, i) => (p * sumY - y[i]) / 2);
    const dB = dz.map((dz) => v.map((v) => dz * v));
    const dv = v.map((_, i) => sum(dz.map((dz, k) => dz * B[k][i])));
    const slope = v.map((v) => 1 - v * v);
    const dA = dv.map((dv, i) => x.map((x) => dv * slope[i] * x));
    const dx = x.map((_, j) => sum(dv.map((dv, i) => dv * slope[i] * A[i][j])));
    return { values: { x, A, v, B, z, p, y, L: [L] }, gradients: { x: dx, A: dA, v: dv, B: dB, z: dz, p: dp }, sumY, slope };
  }

  const at = (matrix, i, j) => (j === null ? matrix[i] : matrix[i][j]);

  function short(number) {
    if (!Number.isFinite(number)) return number > 0 ? "∞" : number < 0 ? "−∞" : "?";
    const size = Math.abs(number);
    const text = size !== 0 && (size < 0.0005 || size >= 1e4) ? number.toExponential(1) : number.toFixed(3);
    return text.replaceAll("-", "−");
  }

  const bracketed = (number) => (number < 0 ? `(${short(number)})` : short(number));

  const small = (n) => [...String(n + 1)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");

  /** The formula of a step with the numbers of one entry: that of the class that the target wants most, else the first. */
  function inNumbers(step, { values: { x, A, v, B, p, y }, gradients, sumY, slope }) {
    const c = y.indexOf(Math.max(...y));
    switch (step) {
      case "p":
        return `∂L/∂p${small(c)} = −${short(y[c])} / (2 · ${short(p[c])}) = ${short(gradients.p[c])}`;
      case "z":
        return `∂L/∂z${small(c)} = (${short(p[c])} · ${short(sumY)} − ${short(y[c])}) / 2 = ${short(gradients.z[c])}`;
      case "B":
        return `∂L/∂B${small(c)}₁ = ${bracketed(gradients.z[c])} · ${bracketed(v[0])} = ${short(gradients.B[c][0])}`;
      case "v":
        return `∂L/∂v₁ = ${gradients.z.map((dz, k) => `${bracketed(dz)} · ${bracketed(B[k][0])}`).join(" + ")} = ${short(gradients.v[0])}`;
      case "A":
        return `∂L/∂A₁₁ = ${bracketed(gradients.v[0])} · ${short(slope[0])} · ${bracketed(x[0])} = ${short(gradients.A[0][0])}`;
      default:
        return `∂L/∂x₁ = ${gradients.v
          .map((dv, i) => `${bracketed(dv)} · ${short(slope[i])} · ${bracketed(A[i][0])}`)
          .join(" + ")} = ${short(gradients.x[0])}`;
    }
  }

  for (const figure of document.querySelectorAll(".backprop-live")) {
    const steps = [...figure.querySelectorAll("[data-step]")];
    const inputs = [...figure.querySelectorAll("input[data-quantity]")];
    const start = inputs.map((input) => input.value);
    // How many steps back are shown; all of them at first.
    let shown = steps.length;

    const read = () => {
      const found = { A: [], B: [], x: [], y: [] };
      for (const input of inputs) {
        const { quantity, i, j } = input.dataset;
        if (j === undefined) found[quantity][i] = Number(input.value);
        else (found[quantity][i] ??= [])[j] = Number(input.value);
      }
      return found;
    };

    const place = (cell) => [cell.dataset.quantity, Number(cell.dataset.i), cell.dataset.j === undefined ? null : Number(cell.dataset.j)];

    const show = () => {
      const computed = compute(read());
      const visible = new Set(steps.slice(0, shown).map((step) => step.dataset.step));
      for (const output of figure.querySelectorAll("output[data-value]")) {
        const [quantity, i, j] = place(output);
        const value = at(computed.values[quantity], i, j);
        output.dataset.value = String(value);
        output.textContent = short(value);
      }
      for (const output of figure.querySelectorAll("output[data-gradient]")) {
        const [quantity, i, j] = place(output);
        const gradient = at(computed.gradients[quantity], i, j);
        output.dataset.gradient = String(gradient);
        output.textContent = visible.has(quantity) ? short(gradient) : "·";
        output.classList.toggle("large", visible.has(quantity) && Math.abs(gradient) >= 0.1);
      }
      for (const [n, step] of steps.entries()) {
        const current = n + 1 === shown;
        step.classList.toggle("waiting", n >= shown);
        step.classList.toggle("current", current);
        if (current) step.setAttribute("aria-current", "step");
        else step.removeAttribute("aria-current");
        step.querySelector("output").textContent = inNumbers(step.dataset.step, computed);
      }
      figure.querySelector("[data-said]").textContent =
        shown === 0 ? "The values went forward; nothing has come back yet." : `Step ${shown} of ${steps.length} back.`;
      figure.querySelector("button[data-go='back']").disabled = shown === 0;
      figure.querySelector("button[data-go='next']").disabled = shown === steps.length;
      figure.dataset.live = "yes";
    };

    const go = {
      forward: () => (shown = 0),
      back: () => (shown = Math.max(0, shown - 1)),
      next: () => (shown = Math.min(steps.length, shown + 1)),
      all: () => (shown = steps.length),
      reset: () => inputs.forEach((input, n) => (input.value = start[n])),
    };
    for (const button of figure.querySelectorAll("button[data-go]")) {
      button.addEventListener("click", () => {
        go[button.dataset.go]();
        show();
      });
    }
    figure.addEventListener("input", show);
    show();
  }
})();
