// Square matrices: equations, determinants, factors. A function gets a copy of a matrix
// of n rows, and of the right sides if there are some, row after row.

const MATRICES = {
  solve: (a, n, b) => {
    eliminate(a, n, b);
    return b;
  },
  inv: (a, n) => MATRICES.solve(a, n, a.map((_, i) => Number(i % (n + 1) === 0))),
  det: (a, n) => {
    const [sign, logarithm] = eliminate(a, n, []);
    return [sign * Math.exp(logarithm)];
  },
  slogdet: (a, n) => [eliminate(a, n, [])[1]],  // only the logarithm is asked for
  cholesky,
};

// Solve a x = b by elimination: b becomes x. Return the determinant's sign, and
// the logarithm of its size.
function eliminate(a, n, b) {
  const sides = [[a, n], [b, b.length / n]];
  let [sign, logarithm] = [1, 0];
  for (let j = 0; j < n; j++) {
    let largest = j;
    for (let i = j; i < n; i++) {
      if (Math.abs(a[i * n + j]) > Math.abs(a[largest * n + j])) largest = i;
    }
    const pivot = a[largest * n + j];
    sign *= Math.sign(pivot) * (largest === j ? 1 : -1);
    logarithm += Math.log(Math.abs(pivot));
    for (const [x, width] of sides) {
      for (let k = 0; k < width; k++) {
        const [one, other] = [j * width + k, largest * width + k];
        const exchanged = x[other];
        x[other] = x[one];
        x[one] = exchanged / pivot;
      }
    }
    for (let i = 0; i < n; i++) {
      const factor = a[i * n + j];
      for (const [x, width] of i === j ? [] : sides) {
        for (let k = 0; k < width; k++) x[i * width + k] -= factor * x[j * width + k];
      }
    }
  }
  return [sign, logarithm];
}

// The lower triangle whose product with its transpose is (a + a^T) / 2.
function cholesky(a, n) {
  const root = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let rest = (a[i * n + j] + a[j * n + i]) / 2;
      for (let k = 0; k < j; k++) rest -= root[i * n + k] * root[j * n + k];
      root[i * n + j] = i === j ? Math.sqrt(rest) : rest / root[j * n + j];
    }
  }
  return root;
}

// Return a function that computes an equation of matrices, or of stacks of them.
function matrices(line) {
  const { matrix, of, n } = line;
  return (slots) => {
    const result = empty(line);
    const count = slots[of[0]].length / n ** 2;
    const size = result.length / count;
    for (let i = 0; i < count; i++) {
      const [a, b] = of.map((slot) => {
        const length = slots[slot].length / count;
        return Float64Array.from(slots[slot].slice(i * length, (i + 1) * length));
      });
      result.set(MATRICES[matrix](a, n, b), i * size);
    }
    return result;
  };
}
