// The forward pass of rnn.cu: its arrays, one step, and both ways through time.

enum Form { PLAIN, SUM, TWO_TERM };

// In global memory; T + 1 places in time hold the states before steps 0 .. T - 1 and after the last.
struct RNNArrays {
    int T;
    const real *x;                      // (H, T, N): W_x x_t, or x_hat
    const real *b, *gamma_x, *gamma;    // (H,)
    const bool *mask;                   // (T, N), or null
    real eps;
    bool given;                         // statistics are given, not estimated
    real *mean, *variance;              // (T, H)
    real *h;                            // (H, T + 1, N), carried
    real *hat;                          // (H, T, N): of the sum, or of W_h h_{t-1}
};

template <Form FORM, bool IN_FLIGHT>
struct RNNForward {
    const Plan& plan;
    const RNNArrays& arrays;
    // In shared memory; rows of N examples.
    real *tilde;                        // (units, N): W_h h_{t-1}, then hat
    real *x, *h;                        // (units, N)
    real *live;                         // (N,)
    real *count;                        // of the live ones
    real *mean, *inv_std;               // (units,)
    real *b, *gamma_x, *gamma;          // (units,)

    __device__ RNNForward(const Plan& plan, const RNNArrays& arrays, Pieces& shared) : plan(plan), arrays(arrays) {
        const int U = plan.units, N = plan.N;
        tilde = shared.take(U * N);
        x = shared.take(U * N);
        h = shared.take(U * N);
        live = shared.take(N);
        count = shared.take(1);
        mean = shared.take(U);
        inv_std = shared.take(U);
        b = shared.take(U);
        gamma_x = shared.take(U);
        gamma = shared.take(U);
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            b[u] = arrays.b[plan.first_unit() + u];
            if (FORM == TWO_TERM) gamma_x[u] = arrays.gamma_x[plan.first_unit() + u];
            if (FORM != PLAIN) gamma[u] = arrays.gamma[plan.first_unit() + u];
        }
    }

    __device__ size_t state_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * (arrays.T + 1) + t) * plan.N + i % plan.N;
    }

    __device__ size_t step_at(int i, int t) const {
        return (size_t(plan.first_unit() + i / plan.N) * arrays.T + t) * plan.N + i % plan.N;
    }

    __device__ void load_state(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) h[i] = arrays.h[state_at(i, t)];
    }

    // What step t reads and no block writes: it can travel while the others are waited for.
    __device__ void load(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            fetch<IN_FLIGHT>(&x[i], &arrays.x[step_at(i, t)]);
        end_of_copies();
        load_live(live, count, arrays.mask, t, plan.N);
    }

    // From W_h h_{t-1} in `tilde` to h_t.
    __device__ void step(int t) {
        const int N = plan.N, own = plan.own_units();
        if (FORM == SUM) {
            for (int i = threadIdx.x; i < own * N; i += blockDim.x) tilde[i] += x[i];
            __syncthreads();
        }
        if (FORM != PLAIN) {
            for (int u = warp(); u < own; u += warps()) {
                const size_t at = size_t(t) * plan.H + plan.first_unit() + u;
                statistics_of(&tilde[u * N], live, *count, N, arrays.eps, arrays.given,
                              &arrays.mean[at], &arrays.variance[at], &mean[u], &inv_std[u]);
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N;
            if (FORM != PLAIN) tilde[i] = (tilde[i] - mean[u]) * inv_std[u];        // hat
            real h_tilde = (FORM == PLAIN ? tilde[i] : gamma[u] * tilde[i]) + b[u];
            if (FORM == PLAIN) h_tilde += x[i];                                     // Eq. 1
            if (FORM == TWO_TERM) h_tilde += gamma_x[u] * x[i];                     // Eq. 6
            if (live[i % N] != 0) h[i] = tanh(h_tilde);                             // padded examples keep h
            arrays.h[state_at(i, t + 1)] = h[i];
        }
    }

    // What only the backward pass reads.
    __device__ void store(int t) {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
            arrays.hat[step_at(i, t)] = tilde[i];
    }
};

template <Form FORM>
__device__ void forward_over_time(const Plan& plan, const RNNArrays& arrays, const real* W_h, real* split_sums,
                                  unsigned* arrived) {
    Pieces shared{shared_memory()};
    const int columns = plan.split * plan.units;
    real* weights = shared.take(plan.rows * columns);
    real* staged = shared.take(max(2 * plan.chunk, plan.parts * columns) * plan.examples);
    RNNForward<FORM, true> block(plan, arrays, shared);
    check_shared_memory(shared.next);
    GridBarrier barrier{arrived, 0};

    for (int i = threadIdx.x; i < plan.rows * columns; i += blockDim.x) {
        const int k = plan.first_row() + i / columns, unit = plan.group_first_unit() + i % columns;
        weights[i] = k < plan.H && unit < plan.H ? W_h[size_t(k) * plan.H + unit] : 0;
    }
    block.load_state(0);
    block.load(0);
    __syncthreads();
    for (int t = 0; t < arrays.T; ++t) {
        multiply(plan, barrier, weights, 1, arrays.h + size_t(t) * plan.N, size_t(arrays.T + 1) * plan.N, plan.H,
                 staged, split_sums, block.tilde);
        block.step(t);
        barrier.arrive();
        if (FORM != PLAIN) block.store(t);
        if (t + 1 < arrays.T) block.load(t + 1);
        barrier.wait();
    }
}

template <Form FORM>
__device__ void forward_once(const Plan& plan, const RNNArrays& arrays, int t, const real* h_linear, real* h_now,
                             real* workspace) {
    Pieces memory = step_memory(plan, workspace);
    RNNForward<FORM, false> block(plan, arrays, memory);
    if (workspace == nullptr) check_shared_memory(memory.next);
    block.load_state(t);
    block.load(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        block.tilde[i] = h_linear[size_t(plan.first_unit()) * plan.N + i];
    __syncthreads();
    block.step(t);
    if (FORM != PLAIN) block.store(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        h_now[size_t(plan.first_unit()) * plan.N + i] = block.h[i];
}
