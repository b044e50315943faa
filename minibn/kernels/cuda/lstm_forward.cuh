// The forward pass of lstm.cu: its arrays, one step, and both ways through time.

const int GATES = 4;
enum Gate { F, I, O, G };

// In global memory; T + 1 places in time hold the states before steps 0 .. T - 1 and after the last.
struct LSTMArrays {
    int T;
    const real *x;                                  // (4H, T, N): W_x x_t, or x_hat
    const real *b, *gamma_x, *gamma_h;              // (4H,)
    const real *gamma_c, *beta_c;                   // (H,)
    const bool *mask;                               // (T, N), or null
    real eps;
    bool given;                                     // statistics are given, not estimated
    real *h_mean, *h_variance;                      // (T, 4H)
    real *c_mean, *c_variance;                      // (T, H)
    real *h, *c;                                    // (H, T + 1, N), carried
    real *gates;                                    // (4H, T, N): f, i, o, g
    real *h_hat;                                    // (4H, T, N)
};

// The feature (row of a 4H array) of one of a block's columns.
__device__ inline size_t feature(const Plan& plan, int column) {
    return size_t(column % GATES) * plan.H + plan.first_unit() + column / GATES;
}

template <bool BN, bool IN_FLIGHT>
struct LSTMForward {
    const Plan& plan;
    const LSTMArrays& arrays;
    // In shared memory; rows of N examples.
    real *tilde;                    // (4 units, N): W_h h_{t-1}, then h_hat
    real *x, *gate;                 // (4 units, N)
    real *c_new, *c, *h;            // (units, N)
    real *live;                     // (N,)
    real *count;                    // of the live ones
    real *mean, *inv_std;           // (4 units,)
    real *b, *gamma_x, *gamma_h;    // (4 units,)
    real *gamma_c, *beta_c;         // (units,)

    __device__ LSTMForward(const Plan& plan, const LSTMArrays& arrays, Pieces& shared) : plan(plan), arrays(arrays) {
        const int U = plan.units, N = plan.N;
        tilde = shared.take(GATES * U * N);
        x = shared.take(GATES * U * N);
        gate = shared.take(GATES * U * N);
        c_new = shared.take(U * N);
        c = shared.take(U * N);
        h = shared.take(U * N);
        live = shared.take(N);
        count = shared.take(1);
        mean = shared.take(GATES * U);
        inv_std = shared.take(GATES * U);
        b = shared.take(GATES * U);
        gamma_x = shared.take(GATES * U);
        gamma_h = shared.take(GATES * U);
        gamma_c = shared.take(U);
        beta_c = shared.take(U);
        for (int i = threadIdx.x; i < GATES * plan.own_units(); i += blockDim.x) {
            b[i] = arrays.b[feature(plan, i)];
            if (BN) {
                gamma_x[i] = arrays.gamma_x[feature(plan, i)];
                gamma_h[i] = arrays.gamma_h[feature(plan, i)];
            }
        }
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            if (BN) gamma_c[u] = arrays.gamma_c[plan.first_unit() + u];
            beta_c[u] = arrays.beta_c == nullptr ? 0 : arrays.beta_c[plan.first_unit() + u];
        }
    }

    __device__ size_t state_at(int u, int t) const {
        return (size_t(plan.first_unit() + u) * (arrays.T + 1) + t) * plan.N;
    }

    __device__ void load_state(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) {
            h[i] = arrays.h[state_at(i / plan.N, t) + i % plan.N];
            c[i] = arrays.c[state_at(i / plan.N, t) + i % plan.N];
        }
    }

    // What step t reads and no block writes: it can travel while the others are waited for.
    __device__ void load(int t) {
        for (int i = threadIdx.x; i < GATES * plan.own_units() * plan.N; i += blockDim.x)
            fetch<IN_FLIGHT>(&x[i], &arrays.x[(feature(plan, i / plan.N) * arrays.T + t) * plan.N + i % plan.N]);
        end_of_copies();
        load_live(live, count, arrays.mask, t, plan.N);
    }

    // From W_h h_{t-1} in `tilde` to h_t.
    __device__ void step(int t) {
        const int N = plan.N, own = plan.own_units();
        if (BN) {
            for (int column = warp(); column < GATES * own; column += warps()) {
                const size_t at = size_t(t) * GATES * plan.H + feature(plan, column);
                statistics_of(&tilde[column * N], live, *count, N, arrays.eps, arrays.given,
                              &arrays.h_mean[at], &arrays.h_variance[at], &mean[column], &inv_std[column]);
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N, n = i % N;
            real pre[GATES];                                                        // f~, i~, o~, g~
            for (int q = 0; q < GATES; ++q) {
                const int column = GATES * u + q, at = column * N + n;
                if (BN) {
                    tilde[at] = (tilde[at] - mean[column]) * inv_std[column];       // h_hat
                    pre[q] = gamma_h[column] * tilde[at] + gamma_x[column] * x[at] + b[column];     // Eq. 6
                } else {
                    pre[q] = tilde[at] + x[at] + b[column];                         // Eq. 2
                }
            }
            real* own_gates = &gate[GATES * u * N + n];
            const real f = sigmoid(pre[F]), in = sigmoid(pre[I]), o = sigmoid(pre[O]), g = tanh(pre[G]);
            own_gates[F * N] = f;
            own_gates[I * N] = in;
            own_gates[O * N] = o;
            own_gates[G * N] = g;
            c_new[i] = f * c[i] + in * g;                                           // Eq. 3, Eq. 7
        }
        __syncthreads();
        if (BN) {
            for (int u = warp(); u < own; u += warps()) {
                const size_t at = size_t(t) * plan.H + plan.first_unit() + u;
                statistics_of(&c_new[u * N], live, *count, N, arrays.eps, arrays.given,
                              &arrays.c_mean[at], &arrays.c_variance[at], &mean[u], &inv_std[u]);
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N, n = i % N;
            real c_term = c_new[i] + beta_c[u];                                     // Eq. 4
            if (BN) c_term = gamma_c[u] * ((c_new[i] - mean[u]) * inv_std[u]) + beta_c[u];
            if (live[n] != 0) {                                                     // padded examples keep h and c
                c[i] = c_new[i];
                h[i] = gate[(GATES * u + O) * N + n] * tanh(c_term);                // Eq. 4, Eq. 8
            }
            arrays.h[state_at(u, t + 1) + n] = h[i];
        }
    }

    // What only the backward pass reads.
    __device__ void store(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            arrays.c[state_at(i / plan.N, t + 1) + i % plan.N] = c[i];
        for (int i = threadIdx.x; i < GATES * plan.own_units() * plan.N; i += blockDim.x) {
            const size_t at = (feature(plan, i / plan.N) * arrays.T + t) * plan.N + i % plan.N;
            arrays.gates[at] = gate[i];
            if (BN) arrays.h_hat[at] = tilde[i];
        }
    }
};

template <bool BN>
__device__ void forward_over_time(const Plan& plan, const LSTMArrays& arrays, const real* W_h, real* split_sums,
                                      unsigned* arrived) {
    Pieces shared{shared_memory()};
    const int columns = plan.split * plan.units * GATES;
    real* weights = shared.take(plan.rows * columns);
    real* staged = shared.take(max(2 * plan.chunk, plan.parts * columns) * plan.examples);
    LSTMForward<BN, true> block(plan, arrays, shared);
    check_shared_memory(shared.next);
    GridBarrier barrier{arrived, 0};

    for (int i = threadIdx.x; i < plan.rows * columns; i += blockDim.x) {
        const int k = plan.first_row() + i / columns, column = i % columns;
        const int unit = plan.group_first_unit() + column / GATES;
        const bool exists = k < plan.H && unit < plan.H;
        weights[i] = exists ? W_h[(size_t(k) * GATES + column % GATES) * plan.H + unit] : 0;
    }
    block.load_state(0);
    block.load(0);
    __syncthreads();
    for (int t = 0; t < arrays.T; ++t) {
        multiply(plan, barrier, weights, GATES, arrays.h + size_t(t) * plan.N, size_t(arrays.T + 1) * plan.N, plan.H,
                 staged, split_sums, block.tilde);
        block.step(t);
        barrier.arrive();
        block.store(t);
        if (t + 1 < arrays.T) block.load(t + 1);
        barrier.wait();
    }
}

template <bool BN>
__device__ void forward_once(const Plan& plan, const LSTMArrays& arrays, int t, const real* h_linear, real* h_now,
                                  real* workspace) {
    Pieces memory = step_memory(plan, workspace);
    LSTMForward<BN, false> block(plan, arrays, memory);
    if (workspace == nullptr) check_shared_memory(memory.next);
    const int N = plan.N;
    block.load_state(t);
    block.load(t);
    for (int i = threadIdx.x; i < GATES * plan.own_units() * N; i += blockDim.x)
        block.tilde[i] = h_linear[feature(plan, i / N) * N + i % N];
    __syncthreads();
    block.step(t);
    block.store(t);
    for (int i = threadIdx.x; i < plan.own_units() * N; i += blockDim.x)
        h_now[size_t(plan.first_unit()) * N + i] = block.h[i];
}
