// The backward pass of lstm.cu: its arrays, one step, and both ways through time.

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
