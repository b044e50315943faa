// The LSTM (Eqs. 2-4) and the batch-normalized LSTM (Eqs. 6-8), forward and backward, gate blocks f, i, o, g.
//
// A block of threads owns some hidden units, with all four gates of each: every statistic is the business of one
// block. Its columns are counted unit by unit, column = 4 * unit + gate. One step is the same code in both drivers:
//   *_sequence   one launch for all time steps; the blocks' slices of W_h stay in shared memory, and only h_t
//                (forward) or dh_linear_t (backward) cross blocks, with one barrier a step (two where plan.split > 1);
//   *_step       one launch per time step, after a library's product, for what does not fit.
// Names are those of minibn/equations/lstm.py and bn_lstm.py.

#include "common.cuh"

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

// ---- Forward ----

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

// ---- Backward ----

struct LSTMGradientArrays {
    const real *dh_loss;            // (H, T, N): only the loss terms of each step itself
    real *dh_linear, *dx_term;      // (4H, T, N); the same array without batch norm
    real *dh_kept, *dc;             // (H, N): of h_t past a padded step, and of c_t, as far as step t + 1 passes them back
    real *db, *dgamma_h;            // (4H,), sums over time: zero at first
    real *dgamma_c, *dbeta_c;       // (H,)
};

template <bool BN, bool IN_FLIGHT>
struct LSTMBackward {
    const Plan& plan;
    const LSTMArrays& arrays;
    const LSTMGradientArrays& gradients;
    // In shared memory; rows of N examples.
    real *gate, *h_hat, *dtilde;            // (4 units, N)
    real *c_hat, *c_prev, *dh_loss;         // (units, N); c_hat is c_t at first
    real *dh_later, *dh_kept, *dc;          // (units, N): from step t + 1
    real *dc_term;                          // (units, N)
    real *live;                             // (N,)
    real *count;                            // of the live ones
    real *h_inv_std, *c_mean, *c_inv_std;   // (4 units,), (units,), (units,)
    real *gamma_h, *gamma_c, *beta_c;       // (4 units,), (units,), (units,)
    real *mean_dy, *mean_dy_hat;            // (4 units,): see GradientSums
    real *db, *dgamma_h;                    // (4 units,), sums over time
    real *dgamma_c, *dbeta_c;               // (units,)

    __device__ LSTMBackward(const Plan& plan, const LSTMArrays& arrays, const LSTMGradientArrays& gradients,
                            Pieces& shared)
        : plan(plan), arrays(arrays), gradients(gradients) {
        const int U = plan.units, N = plan.N;
        gate = shared.take(GATES * U * N);
        h_hat = shared.take(GATES * U * N);
        dtilde = shared.take(GATES * U * N);
        c_hat = shared.take(U * N);
        c_prev = shared.take(U * N);
        dh_loss = shared.take(U * N);
        dh_later = shared.take(U * N);
        dh_kept = shared.take(U * N);
        dc = shared.take(U * N);
        dc_term = shared.take(U * N);
        live = shared.take(N);
        count = shared.take(1);
        h_inv_std = shared.take(GATES * U);
        c_mean = shared.take(U);
        c_inv_std = shared.take(U);
        gamma_h = shared.take(GATES * U);
        gamma_c = shared.take(U);
        beta_c = shared.take(U);
        mean_dy = shared.take(GATES * U);
        mean_dy_hat = shared.take(GATES * U);
        db = shared.take(GATES * U);
        dgamma_h = shared.take(GATES * U);
        dgamma_c = shared.take(U);
        dbeta_c = shared.take(U);
        for (int i = threadIdx.x; i < GATES * plan.own_units(); i += blockDim.x) {
            if (BN) gamma_h[i] = arrays.gamma_h[feature(plan, i)];
            db[i] = dgamma_h[i] = 0;
        }
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            if (BN) gamma_c[u] = arrays.gamma_c[plan.first_unit() + u];
            beta_c[u] = arrays.beta_c == nullptr ? 0 : arrays.beta_c[plan.first_unit() + u];
            dgamma_c[u] = dbeta_c[u] = 0;
        }
    }

    __device__ size_t state_at(int u, int t) const {
        return (size_t(plan.first_unit() + u) * (arrays.T + 1) + t) * plan.N;
    }

    __device__ size_t end_at(int i) const { return size_t(plan.first_unit()) * plan.N + i; }

    __device__ void load_state() {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) {
            dh_kept[i] = gradients.dh_kept[end_at(i)];
            dc[i] = gradients.dc[end_at(i)];
        }
    }

    __device__ void store_state() {
        for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x) {
            gradients.dh_kept[end_at(i)] = dh_kept[i];
            gradients.dc[end_at(i)] = dc[i];
        }
    }

    // What step t reads and no block writes: it can travel while the others are waited for.
    __device__ void load(int t) {
        const int N = plan.N;
        for (int i = threadIdx.x; i < GATES * plan.own_units() * N; i += blockDim.x) {
            const size_t at = (feature(plan, i / N) * arrays.T + t) * N + i % N;
            fetch<IN_FLIGHT>(&gate[i], &arrays.gates[at]);
            if (BN) fetch<IN_FLIGHT>(&h_hat[i], &arrays.h_hat[at]);
        }
        for (int i = threadIdx.x; i < plan.own_units() * N; i += blockDim.x) {
            fetch<IN_FLIGHT>(&c_hat[i], &arrays.c[state_at(i / N, t + 1) + i % N]);
            fetch<IN_FLIGHT>(&c_prev[i], &arrays.c[state_at(i / N, t) + i % N]);
            fetch<IN_FLIGHT>(&dh_loss[i], &gradients.dh_loss[(size_t(plan.first_unit() + i / N) * arrays.T + t) * N + i % N]);
        }
        end_of_copies();
        load_live(live, count, arrays.mask, t, N);
        if (BN) load_statistics(t);
    }

    __device__ void load_statistics(int t) {
        for (int i = threadIdx.x; i < GATES * plan.own_units(); i += blockDim.x)
            h_inv_std[i] = 1 / sqrt(arrays.h_variance[size_t(t) * GATES * plan.H + feature(plan, i)] + arrays.eps);
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            const size_t at = size_t(t) * plan.H + plan.first_unit() + u;
            c_mean[u] = arrays.c_mean[at];
            c_inv_std[u] = 1 / sqrt(arrays.c_variance[at] + arrays.eps);
        }
    }

    // From dh_later = W_h dh_linear_{t+1} to dh_linear_t; `dtilde` is dx_term.
    __device__ void step(int t) {
        const int N = plan.N, own = plan.own_units();
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N, n = i % N, at_o = (GATES * u + O) * N + n;
            const real dh_carried = dh_later[i] + dh_kept[i] + dh_loss[i];
            const real dh = live[n] != 0 ? dh_carried : 0;                          // padded examples keep h:
            dh_kept[i] = live[n] != 0 ? 0 : dh_carried;                             // it all goes to the step before
            real c_term = c_hat[i] + beta_c[u];
            if (BN) {
                c_hat[i] = (c_hat[i] - c_mean[u]) * c_inv_std[u];
                c_term = gamma_c[u] * c_hat[i] + beta_c[u];
            }
            const real o = gate[at_o], tanh_c = tanh(c_term);
            dc_term[i] = dh * o * dtanh(tanh_c);                                    // Eq. 4, Eq. 8
            dtilde[at_o] = dh * tanh_c * dsigmoid(o);
        }
        __syncthreads();
        for (int u = warp(); u < own; u += warps()) {
            if (BN) {
                const GradientSums sums = gradient_sums(&dc_term[u * N], &c_hat[u * N], *count, N, arrays.given);
                if (lane() == 0) {
                    mean_dy[u] = sums.mean_dy;
                    mean_dy_hat[u] = sums.mean_dy_hat;
                    dbeta_c[u] += sums.dy;
                    dgamma_c[u] += sums.dy_hat;
                }
            } else {
                const real sum = row_sum(&dc_term[u * N], N);
                if (lane() == 0) dbeta_c[u] += sum;
            }
        }
        if (BN) __syncthreads();
        for (int i = threadIdx.x; i < own * N; i += blockDim.x) {
            const int u = i / N, n = i % N;
            const real* own_gates = &gate[GATES * u * N + n];
            real* own_dtilde = &dtilde[GATES * u * N + n];
            const real f = own_gates[F * N], in = own_gates[I * N], g = own_gates[G * N];
            real dc_t = live[n] != 0 ? dc[i] : 0;
            dc_t += BN ? batch_norm_backward(dc_term[i], c_hat[i], live[n], gamma_c[u], c_inv_std[u],
                                             mean_dy[u], mean_dy_hat[u])
                       : dc_term[i];
            own_dtilde[F * N] = dc_t * c_prev[i] * dsigmoid(f);                     // Eq. 3, Eq. 7
            own_dtilde[I * N] = dc_t * g * dsigmoid(in);
            own_dtilde[G * N] = dc_t * in * dtanh(g);
            dc[i] = live[n] != 0 ? dc_t * f : dc[i];
        }
        __syncthreads();
        for (int column = warp(); column < GATES * own; column += warps()) {
            if (BN) {
                const GradientSums sums = gradient_sums(&dtilde[column * N], &h_hat[column * N], *count, N, arrays.given);
                if (lane() == 0) {
                    mean_dy[column] = sums.mean_dy;
                    mean_dy_hat[column] = sums.mean_dy_hat;
                    db[column] += sums.dy;
                    dgamma_h[column] += sums.dy_hat;
                }
            } else {
                const real sum = row_sum(&dtilde[column * N], N);
                if (lane() == 0) db[column] += sum;
            }
        }
        if (BN) __syncthreads();
        for (int i = threadIdx.x; i < GATES * own * N; i += blockDim.x) {
            const int column = i / N, n = i % N;
            gradients.dh_linear[(feature(plan, column) * arrays.T + t) * N + n] =
                BN ? batch_norm_backward(dtilde[i], h_hat[i], live[n], gamma_h[column], h_inv_std[column],
                                         mean_dy[column], mean_dy_hat[column])
                   : dtilde[i];                                                     // Eq. 6, Eq. 2
        }
    }

    // What no other block waits for; without batch norm dx_term is dh_linear.
    __device__ void store(int t) {
        for (int i = threadIdx.x; i < GATES * plan.own_units() * plan.N; i += blockDim.x)
            gradients.dx_term[(feature(plan, i / plan.N) * arrays.T + t) * plan.N + i % plan.N] = dtilde[i];
    }

    // The parameters' gradients, after the last step of this launch.
    __device__ void store_totals() {
        __syncthreads();
        for (int i = threadIdx.x; i < GATES * plan.own_units(); i += blockDim.x) {
            gradients.db[feature(plan, i)] += db[i];
            if (BN) gradients.dgamma_h[feature(plan, i)] += dgamma_h[i];
        }
        for (int u = threadIdx.x; u < plan.own_units(); u += blockDim.x) {
            if (BN) gradients.dgamma_c[plan.first_unit() + u] += dgamma_c[u];
            gradients.dbeta_c[plan.first_unit() + u] += dbeta_c[u];
        }
    }
};

// `dh_0` (H, N) takes W_h dh_linear_1 + dh_kept at the end; dc is gradients.dc.
template <bool BN>
__device__ void backward_over_time(const Plan& plan, const LSTMArrays& arrays, const LSTMGradientArrays& gradients,
                                       const real* W_h, real* dh_0, real* split_sums, unsigned* arrived) {
    Pieces shared{shared_memory()};
    const int columns = plan.split * plan.units, features = GATES * plan.H;
    real* weights = shared.take(plan.rows * columns);
    real* staged = shared.take(max(2 * plan.chunk, plan.parts * columns) * plan.examples);
    LSTMBackward<BN, true> block(plan, arrays, gradients, shared);
    check_shared_memory(shared.next);
    GridBarrier barrier{arrived, 0};

    for (int i = threadIdx.x; i < plan.rows * columns; i += blockDim.x) {
        const int k = plan.first_row() + i / columns, unit = plan.group_first_unit() + i % columns;
        weights[i] = k < features && unit < plan.H ? W_h[size_t(unit) * features + k] : 0;
    }
    block.load_state();
    for (int i = threadIdx.x; i < plan.units * plan.N; i += blockDim.x) block.dh_later[i] = 0;
    block.load(arrays.T - 1);
    copies_arrived<0>();
    __syncthreads();
    for (int t = arrays.T - 1; t >= 0; --t) {
        block.step(t);
        barrier.arrive();
        if (BN) block.store(t);
        if (t > 0) block.load(t - 1);
        barrier.wait();
        multiply(plan, barrier, weights, 1, gradients.dh_linear + size_t(t) * plan.N, size_t(arrays.T) * plan.N,
                 features, staged, split_sums, block.dh_later);
    }
    block.store_state();
    block.store_totals();
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        dh_0[block.end_at(i)] = block.dh_later[i] + block.dh_kept[i];
}

template <bool BN>
__device__ void backward_once(const Plan& plan, const LSTMArrays& arrays, const LSTMGradientArrays& gradients,
                                   int t, const real* dh_later, real* dh_linear_now,
                                   real* workspace) {
    Pieces memory = step_memory(plan, workspace);
    LSTMBackward<BN, false> block(plan, arrays, gradients, memory);
    if (workspace == nullptr) check_shared_memory(memory.next);
    block.load_state();
    block.load(t);
    for (int i = threadIdx.x; i < plan.own_units() * plan.N; i += blockDim.x)
        block.dh_later[i] = dh_later[block.end_at(i)];
    __syncthreads();
    block.step(t);
    if (BN) block.store(t);
    block.store_state();
    block.store_totals();
    for (int i = threadIdx.x; i < GATES * plan.own_units() * plan.N; i += blockDim.x) {
        const size_t row = feature(plan, i / plan.N);
        dh_linear_now[row * plan.N + i % plan.N] = gradients.dh_linear[(row * arrays.T + t) * plan.N + i % plan.N];
    }
}

// ---- The kernels ----

#define LSTM_ARGUMENTS                                                                                                 \
    int T, const real *x, const real *b, const real *gamma_x, const real *gamma_h, const real *gamma_c,                \
    const real *beta_c, const bool *mask, real eps, int given, real *h_mean, real *h_variance,                         \
    real *c_mean, real *c_variance, real *h, real *c, real *gates, real *h_hat
#define LSTM_ARRAYS                                                                                                    \
    const LSTMArrays arrays { T, x, b, gamma_x, gamma_h, gamma_c, beta_c, mask, eps, given != 0,                       \
                              h_mean, h_variance, c_mean, c_variance, h, c, gates, h_hat }
#define LSTM_GRADIENT_ARGUMENTS                                                                                        \
    const real *dh_loss, real *dh_linear, real *dx_term, real *dh_kept, real *dc,                                      \
    real *db, real *dgamma_h, real *dgamma_c, real *dbeta_c
#define LSTM_GRADIENTS                                                                                                 \
    const LSTMGradientArrays gradients { dh_loss, dh_linear, dx_term, dh_kept, dc, db, dgamma_h, dgamma_c, dbeta_c }

#define LSTM_KERNELS(name, BN)                                                                                         \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_forward_sequence(                              \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, const real* W_h, real* split_sums, unsigned* arrived) {                    \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        forward_over_time<BN>(plan, arrays, W_h, split_sums, arrived);                                             \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_forward_step(                                     \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, int t, const real* h_linear, real* h_now, real* global_workspace) {        \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        forward_once<BN>(plan, arrays, t, h_linear, h_now, global_workspace);                                     \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS, 1) name##_backward_sequence(                             \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, LSTM_GRADIENT_ARGUMENTS,                                                   \
            const real* W_h, real* dh_0, real* split_sums, unsigned* arrived) {                                        \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        LSTM_GRADIENTS;                                                                                                \
        backward_over_time<BN>(plan, arrays, gradients, W_h, dh_0, split_sums, arrived);                           \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(MAX_THREADS) name##_backward_step(                                    \
            PLAN_ARGUMENTS, LSTM_ARGUMENTS, LSTM_GRADIENT_ARGUMENTS,                                                   \
            int t, const real* dh_later, real* dh_linear_now, real* global_workspace) {                                \
        PLAN;                                                                                                          \
        LSTM_ARRAYS;                                                                                                   \
        LSTM_GRADIENTS;                                                                                                \
        backward_once<BN>(plan, arrays, gradients, t, dh_later, dh_linear_now, global_workspace);                 \
    }

LSTM_KERNELS(lstm, false)
LSTM_KERNELS(bn_lstm, true)
